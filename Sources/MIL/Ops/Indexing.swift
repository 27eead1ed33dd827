// Indexing: elements taken or replaced by position, and positions found by value.

extension OpTable {
    static let indexingOps: [Op] = [
        Op(
            "gather", .indexing, "the slices of x at the indices of an axis",
            [
                x, indices, .int("axis", "the axis the indices count along", default: 0),
                .int("batch_dims", "axes in front that x and indices share", default: 0), validate,
            ]
        ) { call in
            let (x, indices) = (try call.type("x"), try call.type("indices"))
            let axis = try call.axis(rank: x.rank)
            let batch = try sharedAxes(call, x.shape, indices.shape)
            guard axis >= batch else {
                throw Failure(
                    .invalidArgument, "The axis \(axis) lies among the \(batch) shared axes; it must come after them.")
            }
            try validateIndices(call, below: [x.shape[axis]])
            return [TensorType(x.dtype, replaced(x.shape, axis, Array(indices.shape[batch...])))]
        },
        Op(
            "gather_along_axis", .indexing,
            "along one axis, the elements of x at the indices; the other axes run in step",
            [x, indices, .int("axis", "the axis the indices count along", default: 0), validate]
        ) { call in
            let (x, indices) = (try call.type("x"), try call.type("indices"))
            try sameButAlong(call.axis(rank: x.rank), x.shape, indices.shape)
            try validateIndices(call, below: [x.shape[call.axis(rank: x.rank)]])
            return [TensorType(x.dtype, indices.shape)]
        },
        Op(
            "gather_nd", .indexing, "the slices of x at the index vectors that the last axis of indices holds",
            [x, indices, .int("batch_dims", "axes in front that x and indices share", default: 0), validate]
        ) { call in
            let (x, indices) = (try call.type("x"), try call.type("indices", rank: 1...Int.max))
            let batch = try sharedAxes(call, x.shape, indices.shape)
            let shape = try slices(x.shape, indices.shape, shared: batch)
            try validateIndices(call, below: Array(x.shape[batch...].prefix(indices.shape.last ?? 0)))
            return [TensorType(x.dtype, shape)]
        },
        Op(
            "scatter", .indexing, "data with the slices at the indices of an axis changed by the updates",
            [
                data, indices, .tensor("updates", "one slice for each index", .all),
                .int("axis", "the axis the indices count along", default: 0), mode, validate,
            ],
            shared: ["data", "updates"]
        ) { call in
            let (data, indices) = (try call.type("data"), try call.type("indices"))
            let axis = try call.axis(rank: data.rank)
            try validateIndices(call, below: [data.shape[axis]])
            return try scattered(call, data, updates: replaced(data.shape, axis, indices.shape))
        },
        Op(
            "scatter_along_axis", .indexing,
            "data changed by the updates at the indices along one axis; the other axes run in step",
            [
                data, indices, .tensor("updates", "one value for each index", .all),
                .int("axis", "the axis the indices count along", default: 0), mode, validate,
            ],
            shared: ["data", "updates"]
        ) { call in
            let (data, indices) = (try call.type("data"), try call.type("indices"))
            try sameButAlong(call.axis(rank: data.rank), data.shape, indices.shape)
            try validateIndices(call, below: [data.shape[call.axis(rank: data.rank)]])
            return try scattered(call, data, updates: indices.shape)
        },
        Op(
            "scatter_nd", .indexing,
            "data with the slices at the index vectors in the last axis of indices changed by the updates",
            [data, indices, .tensor("updates", "one slice for each index vector", .all), mode, validate],
            shared: ["data", "updates"]
        ) { call in
            let (data, indices) = (try call.type("data"), try call.type("indices", rank: 1...Int.max))
            let updates = try slices(data.shape, indices.shape, shared: 0)
            try validateIndices(call, below: Array(data.shape.prefix(indices.shape.last ?? 0)))
            return try scattered(call, data, updates: updates)
        },
        Op(
            "slice_update", .indexing, "x with the slice that slice_by_index would take replaced",
            [x, .tensor("update", "the new elements, in the shape of the slice", .all)] + sliceParameters,
            shared: ["x", "update"]
        ) { call in
            let (x, update) = (try call.type("x"), try call.type("update"))
            guard x.dtype == update.dtype else {
                throw Failure(
                    .wrongType, "x is \(x.dtype.name) and update is \(update.dtype.name); both must be of one type.")
            }
            let known = call.constant("begin") != nil && call.constant("end") != nil
            if let shape = try known ? SliceBounds(call).result : SliceBounds.resultWhateverBounds(call) {
                try call.expect("update", shape)
            } else {
                let squeezed = try SliceMasks(call).squeeze.filter { $0 }.count
                guard update.rank + squeezed == x.rank else {
                    throw Failure(
                        .invalidArgument,
                        "The update has rank \(update.rank); a slice of x has rank \(x.rank - squeezed).")
                }
            }
            try call.expect("begin", [x.rank])
            try call.expect("end", [x.rank])
            return [x]
        },
        Op(
            "topk", .indexing, "the k largest elements along an axis, and their positions",
            [
                .tensor("x", "the values", real), .int("k", "how many; -1 takes all", default: 1),
                .int("axis", "the axis to search", default: -1),
                .bool("ascending", "take the smallest instead", default: false),
                .bool("sort", "give them in order", default: true),
                .bool("return_indices", "give the positions too", default: true),
                .text(
                    "output_indices_dtype", "the element type of the positions: `int32`, `uint16` or `int64`",
                    default: "int32"),
            ]
        ) { call in
            let x = try call.type("x")
            let axis = try call.axis(rank: x.rank)
            var shape = x.shape
            let k = try call.int("k", in: -1...Call.sizes.upperBound)
            shape[axis] = k == -1 ? x.shape[axis] : k
            guard shape[axis] <= x.shape[axis] else {
                throw Failure(
                    .outOfRange, "k is \(shape[axis]), more than the \(x.shape[axis]) elements of axis \(axis).")
            }
            let dtype = try call.positions("output_indices_dtype", among: [.int32, .uint16, .int64])
            let positions = TensorType(dtype, shape)
            return [TensorType(x.dtype, shape)] + (try call.bool("return_indices") ? [positions] : [])
        },
        Op(
            "argsort", .indexing, "the positions that put the elements along an axis in falling order",
            [
                .tensor("x", "the values", real), .int("axis", "the axis to sort along", default: -1),
                .bool("ascending", "rising order instead", default: false), positionType,
            ],
            expansion: { call, function in
                let x = try call.type("x")
                let axis = try call.axis(rank: x.rank)
                let k = function.int(x.shape[axis], name: "\(call.name)_k")
                let arguments =
                    call.operation.arguments.map {
                        $0.name == "output_dtype" ? Argument("output_indices_dtype", $0.values) : $0
                    } + [Argument("k", [k])]
                return Array(
                    try function.append(Operation("topk", arguments, outputs: []), name: "\(call.name)_topk")
                        .dropFirst())
            }
        ) { call in
            let x = try call.type("x")
            _ = try call.axis(rank: x.rank)
            return [TensorType(try call.positions(), x.shape)]
        },
        Op(
            "sort", .indexing, "the elements along an axis in rising order; NaN counts as the greatest",
            [
                .tensor("x", "the values", real), .int("axis", "the axis to sort along", default: -1),
                .bool("ascending", "falling order where false", default: true),
                .bool("stable", "equal elements keep their order, as they do either way", default: true),
            ],
            expansion: { call, function in
                let x = try call.type("x")
                let axis = function.int(try call.axis(rank: x.rank), name: "\(call.name)_axis")
                let ascending = function.constant(Tensor(try call.bool("ascending")), name: "\(call.name)_ascending")
                let indices = try function.one(
                    "argsort", name: "\(call.name)_argsort",
                    ["x": [try call.id("x")], "axis": [axis], "ascending": [ascending]])
                return [
                    try function.one(
                        "gather_along_axis", name: "\(call.name)_gather",
                        ["x": [try call.id("x")], "indices": [indices], "axis": [axis]])
                ]
            }, isCoreML: false
        ) { call in
            let x = try call.type("x")
            _ = try call.axis(rank: x.rank)
            return [x]
        },
        Op(
            "search_sorted", .indexing, "where each element of v goes in x, so that x stays in order",
            [
                .tensor("x", "[n]: values in rising order", real), .tensor("v", "the values to place", real),
                .text("side", "before the elements equal to it (`left`) or behind them (`right`)", default: "left"),
                positionType,
            ], isCoreML: false
        ) { call in
            let (x, v) = (try call.type("x", rank: 1...1), try call.type("v"))
            guard x.dtype == v.dtype else {
                throw Failure(.wrongType, "x is \(x.dtype.name) and v is \(v.dtype.name); both must be of one type.")
            }
            _ = try call.text("side", among: ["left", "right"])
            return [TensorType(try call.positions(), v.shape)]
        },
        Op(
            "masked_select", .indexing, "[count]: the elements of x where the mask is true, in row-major order",
            [.tensor("x", "the values", .all), .tensor("mask", "which of them, in the shape of x", [.bool])],
            isCoreML: false
        ) { call in
            let x = try call.type("x")
            try call.expect("mask", x.shape)
            return [TensorType(x.dtype, [-1])]
        },
        Op(
            "unique", .indexing,
            "the different elements of x in rising order, the position where each first stands in x seen as a list, "
                + "for each element of x its place among them, and how often each occurs; NaN differs from NaN",
            [.tensor("x", "the values", .all), positionType], isCoreML: false
        ) { call in
            let (x, dtype) = (try call.type("x"), try call.positions())
            return [
                TensorType(x.dtype, [-1]), TensorType(dtype, [-1]), TensorType(dtype, x.shape),
                TensorType(dtype, [-1]),
            ]
        },
        Op(
            "non_maximum_suppression", .indexing,
            "the boxes of highest score, without those that overlap a better one; with a score_threshold also how many they are",
            [
                .tensor("boxes", "[batch, 4, boxes]: centre x, centre y, width and height", .floats),
                .tensor("scores", "[batch, classes, boxes]: the scores", .floats),
                .float("iou_threshold", "boxes whose shared part of their union is larger are dropped"),
                .float(
                    "score_threshold", "boxes whose scores are lower are dropped first; none where left out",
                    optional: true),
                .int("max_boxes", "how many boxes to give; the rest is filled up"),
                .bool("per_class_suppression", "compare boxes of one class only", default: false),
            ]
        ) { call in
            let (boxes, scores) = (try call.type("boxes", rank: 3...3), try call.type("scores", rank: 3...3))
            guard boxes.shape[1] == 4, scores.shape[0] == boxes.shape[0], scores.shape[2] == boxes.shape[2] else {
                throw Failure(
                    .invalidArgument,
                    "boxes \(boxes.shape) and scores \(scores.shape) do not fit; they must be [batch, 4, boxes] and [batch, classes, boxes]."
                )
            }
            let (batch, most) = (boxes.shape[0], try call.int("max_boxes", in: Call.positive))
            let outputs = [
                TensorType(boxes.dtype, [batch, 4, most]), TensorType(scores.dtype, [batch, scores.shape[1], most]),
                TensorType(.int32, [batch, most]),
            ]
            return outputs + (call.has("score_threshold") ? [TensorType(.int32, [batch])] : [])
        },
        Op(
            "non_zero", .indexing, "[count, rank]: the positions of all elements that are not 0",
            [.tensor("x", "the values", .all), positionType]
        ) { call in
            let (x, dtype) = (try call.type("x"), try call.positions())
            let count = call.constant("x").map { tensor in
                (0..<tensor.count).reduce(0) { $0 + (tensor.isZero(at: $1) ? 0 : 1) }
            }
            return [TensorType(dtype, [count ?? -1, x.rank])]
        },
    ]

    /// Types that have an order.
    private static let real = Set<DataType>.numbers.union([.bool])
    private static let positionType = Op.Parameter.text(
        "output_dtype", "the element type of the positions: `int32` or `int64`", default: "int32")
    private static let x = Op.Parameter.tensor("x", "the values", .all)
    private static let data = Op.Parameter.tensor("data", "the values to change", .all)
    private static let indices = Op.Parameter.tensor(
        "indices",
        "the positions; negative ones count from the end. One outside its axis is an error on the CPU; a GPU, which cannot "
            + "fail during a run, takes the nearest element there is; Core ML does not say what it does", .integers)
    private static let validate = Op.Parameter.bool(
        "validate_indices",
        "fail on an index that is negative or outside its axis, on every device: Metal then takes constant indices only",
        default: false)
    private static let mode = Op.Parameter.text("mode", "update, add, sub, mul, div, max or min", default: "add")

    /// The number of axes in front that two shapes share.
    private static func sharedAxes(_ call: Call, _ x: [Int], _ indices: [Int]) throws -> Int {
        let batch = try call.int("batch_dims", in: Call.sizes)
        guard batch < max(x.count, 1), batch <= indices.count, x.prefix(batch) == indices.prefix(batch) else {
            throw Failure(
                .invalidArgument,
                "Shapes \(x) and \(indices) do not share \(batch) axes; those must be equal, and fewer than x has.")
        }
        return batch
    }

    private static func sameButAlong(_ axis: Int, _ x: [Int], _ indices: [Int]) throws {
        guard x.count == indices.count, x.indices.allSatisfy({ $0 == axis || x[$0] == indices[$0] }) else {
            throw Failure(
                .invalidArgument, "Shapes \(x) and \(indices) do not fit; they must be equal but along axis \(axis).")
        }
    }

    /// A shape with other dimensions in place of one axis.
    private static func replaced(_ shape: [Int], _ axis: Int, _ dimensions: [Int]) -> [Int] {
        var shape = shape
        shape.replaceSubrange(axis...axis, with: dimensions)
        return shape
    }

    /// The shape of the slices that index vectors in the last axis of indices name.
    private static func slices(_ x: [Int], _ indices: [Int], shared: Int) throws -> [Int] {
        guard let depth = indices.last, indices.count > shared, depth <= x.count - shared else {
            throw Failure(
                .invalidArgument,
                "Index vectors of \(indices.last ?? 0) numbers are too long for a tensor of rank \(x.count) with \(shared) shared axes."
            )
        }
        return indices.dropLast() + x[(shared + depth)...]
    }

    private static func scattered(_ call: Call, _ data: TensorType, updates: [Int]) throws -> [TensorType] {
        try call.expect("updates", updates)
        guard try call.type("updates").dtype == data.dtype else {
            throw Failure(
                .wrongType,
                "The updates are \(try call.type("updates").dtype.name); they must be \(data.dtype.name) as data is.")
        }
        _ = try call.text("mode", among: ["update", "add", "sub", "mul", "div", "max", "min"])
        return [data]
    }

    /// Constant indices of a call with `validate_indices` must lie within their axes, the sizes of which alternate.
    private static func validateIndices(_ call: Call, below sizes: [Int]) throws {
        guard try call.bool("validate_indices"), !sizes.isEmpty, let indices = call.constant("indices") else { return }
        for position in 0..<indices.count {
            let (index, size) = (indices.int(at: position) ?? Int.max, sizes[position % sizes.count])
            // An unknown size is checked when it is known.
            guard index >= 0, index < size || size < 0 else {
                throw invalidIndex(index, at: position, size: size)
            }
        }
    }
}

/// The failure of a call with `validate_indices` for an index outside its axis; negative ones are outside, too.
public func invalidIndex(_ index: Int, at position: Int, size: Int) -> Failure {
    Failure(
        .outOfRange,
        "the index \(index) at position \(position) of 'indices' lies outside an axis of size \(size); "
            + "validate_indices allows 0 to \(size - 1).")
}
