// Shape: ops that move elements or make them, and compute nothing.

extension OpTable {
    static let shapeOps: [Op] =
        [
            Op(
                "reshape", .shape, "x under another shape of as many elements",
                [
                    x,
                    .tensor(
                        "shape",
                        "the new shape; 0 keeps the dimension counted from the right, one -1 takes what is left",
                        .integers),
                ]
            ) { call in
                let x = try call.type("x")
                return [TensorType(x.dtype, try reshaped(x.shape, to: call.ints("shape")))]
            },
            sameElements(
                "reshape_like", "x under a shape put together from those of other tensors",
                [
                    .list("ref_tensors", "the tensors whose dimensions are taken"),
                    .list("begins", "the first dimension to take of each", .integers),
                    .list("ends", "the dimension to stop before, of each", .integers),
                    .list("end_masks", "take all dimensions to the last, for each", [.bool]),
                ], shape: shapeLike),
            Op(
                "transpose", .shape, "the axes of x in another order",
                [x, .ints("perm", "which axis of x becomes each axis of the result")]
            ) { call in
                let x = try call.type("x")
                let order = try call.axes("perm", rank: x.rank) ?? []
                guard order.count == x.rank else {
                    throw Failure(.invalidArgument, "The perm \(order) must name each of the \(x.rank) axes of x once.")
                }
                return [TensorType(x.dtype, order.map { x.shape[$0] })]
            },
            sameElements(
                "expand_dims", "x with new axes of length 1",
                [.tensor("axes", "where the new axes stand in the result", .integers)]
            ) { call in
                let shape = try call.type("x").shape
                let axes = Set(try call.axes(rank: shape.count + call.ints("axes").count) ?? [])
                var rest = shape[...]
                return (0..<shape.count + axes.count).map { axes.contains($0) ? 1 : rest.popFirst() ?? 1 }
            },
            sameElements(
                "squeeze", "x without axes of length 1",
                [
                    .tensor(
                        "axes", "the axes to take out, where their length is 1; all such axes where left out",
                        .integers, optional: true)
                ]
            ) { call in
                let shape = try call.type("x").shape
                let axes = try call.axes(rank: shape.count) ?? Array(shape.indices)
                return shape.indices.filter { shape[$0] != 1 || !axes.contains($0) }.map { shape[$0] }
            },
            sameElements(
                "flatten2d", "x as a matrix: the axes before `axis` are its rows, the others its columns",
                [.int("axis", "the first axis of the columns", default: 1)]
            ) { call in
                let shape = try call.type("x").shape
                let axis = try call.int("axis", in: -shape.count...shape.count)
                let cut = axis < 0 ? axis + shape.count : axis
                return [try shape[..<cut].product(), try shape[cut...].product()]
            },
            Op(
                "shape", .shape, "the dimensions of x", [x],
                expansion: { call, function in [function.ints(try call.type("x").shape, name: "\(call.name)_shape")] }
            ) { call in
                let x = try call.type("x")
                guard x.shape.allSatisfy(Call.sizes.contains) else {
                    throw Failure(.outOfRange, "The shape \(x.shape) does not fit int32, the type of the result.")
                }
                return [TensorType(.int32, [x.rank])]
            },
            Op(
                "concat", .shape, "tensors joined along an axis",
                [
                    .list("values", "the tensors"), .int("axis", "the axis to join"),
                    .bool("interleave", "take one element of each in turn", default: false),
                ],
                shared: ["values"]
            ) { call in
                let types = try oneType(call, "values")
                let interleave = try call.bool("interleave")
                return [
                    TensorType(
                        types[0].dtype,
                        try concatenated(types.map(\.shape), axis: call.int("axis"), interleave: interleave))
                ]
            },
            Op(
                "split", .shape, "x cut into parts along an axis",
                [
                    x, .constant("num_splits", "how many equal parts", .integers, optional: true),
                    .tensor("split_sizes", "the length of each part", .integers, optional: true),
                    .int("axis", "the axis to cut"),
                ],
                expansion: split
            ) { call in
                let x = try call.type("x")
                let parts = try SplitSizes(call)
                return parts.sizes.map { TensorType(x.dtype, replaced(x.shape, parts.axis, $0)) }
            },
            Op(
                "stack", .shape, "tensors of one shape joined along a new axis",
                [.list("values", "the tensors"), .int("axis", "where the new axis stands in the result")],
                shared: ["values"], expansion: stack
            ) { call in
                let types = try oneType(call, "values")
                for type in types where type.shape != types[0].shape {
                    throw Failure(
                        .invalidArgument, "Shapes \(types[0].shape) and \(type.shape) do not stack; they must be equal."
                    )
                }
                let axis = try call.axis(rank: types[0].rank + 1)
                return [TensorType(types[0].dtype, inserted(types[0].shape, axis, types.count))]
            },
            Op(
                "tile", .shape, "x repeated along each axis",
                [x, .tensor("reps", "how often, for each axis", .integers)]
            ) { call in
                let x = try call.type("x")
                let reps = try call.ints("reps", count: x.rank, in: Call.positive)
                return [TensorType(x.dtype, try zip(x.shape, reps).map { try $0.times($1) })]
            },
            Op(
                "pad", .shape, "x with elements added around it",
                [
                    x, .tensor("pad", "elements before and after each of the last axes in turn", .integers),
                    .text("mode", "constant, reflect (without the edge) or replicate (the edge)", default: "constant"),
                    .constant("constant_val", "the value added in the mode constant", .all, default: Tensor(Float(0))),
                ]
            ) { call in
                let x = try call.type("x")
                let pad = try Padding(call)
                let mode = try call.text("mode", among: ["constant", "reflect", "replicate"])
                for (axis, size) in x.shape.enumerated()
                where mode != "constant" && pad.before[axis] + pad.after[axis] > 0 {
                    guard size > (mode == "reflect" ? max(pad.before[axis], pad.after[axis]) : 0) else {
                        throw Failure(
                            .invalidArgument,
                            "Axis \(axis) has \(size) elements; the mode \(mode) needs more to add \(pad.before[axis]) and \(pad.after[axis])."
                        )
                    }
                }
                return [TensorType(x.dtype, pad.result(x.shape))]
            },
            Op(
                "reverse", .shape, "x with the order of elements turned round along axes",
                [x, .ints("axes", "the axes to turn round; all where left out", optional: true)],
                expansion: { call, function in
                    let rank = try call.type("x").rank
                    let axes = try call.axes(rank: rank) ?? Array(0..<rank)
                    let name = call.name
                    let zeros = function.ints(Array(repeating: 0, count: rank), name: "\(name)_bounds")
                    let strides = function.ints((0..<rank).map { axes.contains($0) ? -1 : 1 }, name: "\(name)_stride")
                    let whole = function.constant(Tensor(Array(repeating: true, count: rank)), name: "\(name)_mask")
                    return try function.append(
                        "slice_by_index", name: "\(name)_slice",
                        [
                            "x": [call.id("x")], "begin": [zeros], "end": [zeros], "stride": [strides],
                            "begin_mask": [whole],
                            "end_mask": [whole],
                        ])
                }
            ) { call in
                let x = try call.type("x")
                _ = try call.axes(rank: x.rank)
                return [x]
            },
            Op(
                "reverse_sequence", .shape, "x with the first `lengths` elements of each sequence turned round",
                [
                    x, .tensor("lengths", "[batch]: the length of each sequence", .integers),
                    .int("seq_axis", "the axis of the sequences", default: 0),
                    .int("batch_axis", "the axis of the batch", default: 0),
                ]
            ) { call in
                let x = try call.type("x")
                _ = try call.axis("seq_axis", rank: x.rank)
                try call.expect("lengths", [x.shape[call.axis("batch_axis", rank: x.rank)]])
                return [x]
            },
            Op("slice_by_index", .shape, "the elements of x from begin to end, in steps", [x] + sliceParameters) {
                call in
                let x = try call.type("x")
                if call.constant("begin") == nil || call.constant("end") == nil,
                    let shape = try SliceBounds.resultWhateverBounds(call)
                {
                    try call.expect("begin", [x.rank])
                    try call.expect("end", [x.rank])
                    return [TensorType(x.dtype, shape)]
                }
                return [TensorType(x.dtype, try SliceBounds(call).result)]
            },
            Op(
                "slice_by_size", .shape, "`size` elements of x from begin on",
                [
                    x, .tensor("begin", "the first index along each axis", .integers),
                    .tensor("size", "how many along each axis; -1 takes all that follow", .integers),
                ]
            ) { call in
                let x = try call.type("x")
                let sizes = try call.ints("size", count: x.rank, in: -1...Call.sizes.upperBound)
                try call.expect("begin", [x.rank])
                guard call.constant("begin") != nil || sizes.contains(-1) else {
                    return [TensorType(x.dtype, try sizes.enumerated().map { try checkSlice(0, $1, x.shape, $0) })]
                }
                let begin = try call.ints("begin", count: x.rank, in: Call.sizes)
                return [TensorType(x.dtype, try sizes.enumerated().map { try checkSlice(begin[$0], $1, x.shape, $0) })]
            },
            Op(
                "sliding_windows", .shape, "windows of x along an axis; a new axis behind it counts within the window",
                [
                    x, .int("axis", "the axis to move along"), .int("size", "the length of a window"),
                    .int("stride", "the step", default: 1),
                ]
            ) { call in
                let x = try call.type("x")
                let axis = try call.axis(rank: x.rank)
                let (size, stride) = (
                    try call.int("size", in: Call.positive), try call.int("stride", in: Call.positive)
                )
                guard size <= x.shape[axis] else {
                    throw Failure(
                        .invalidArgument, "Axis \(axis) has \(x.shape[axis]) elements, fewer than a window of \(size).")
                }
                return [
                    TensorType(
                        x.dtype, inserted(replaced(x.shape, axis, (x.shape[axis] - size) / stride + 1), axis + 1, size))
                ]
            },
        ] + blockOps + makingOps

    private static let x = Op.Parameter.tensor("x", "the values", .all)

    static let sliceParameters: [Op.Parameter] = [
        .tensor("begin", "the first index along each axis; negative counts from the end", .integers),
        .tensor("end", "the index to stop before, likewise", .integers),
        .tensor("stride", "the step along each axis, negative to go back; 1 where left out", .integers, optional: true),
        .bools("begin_mask", "where true, begin does not count: from the edge", optional: true),
        .bools("end_mask", "where true, end does not count: to the edge", optional: true),
        .bools("squeeze_mask", "where true, take the one element at begin and drop the axis", optional: true),
    ]

    /// An op that leaves the elements in order and only gives another shape.
    private static func sameElements(
        _ name: String, _ words: String, _ more: [Op.Parameter], shape: @escaping @Sendable (Call) throws -> [Int]
    ) -> Op {
        Op(
            name, .shape, words, [x] + more,
            expansion: { call, function in [try function.reshape(call.id("x"), shape(call), name: call.name)] }
        ) { call in
            let x = try call.type("x")
            let result = try shape(call)
            guard try result.product() == x.shape.product() else {
                throw Failure(.invalidArgument, "The elements of shape \(x.shape) do not fill the shape \(result).")
            }
            return [TensorType(x.dtype, result)]
        }
    }

    private static func shapeLike(_ call: Call) throws -> [Int] {
        func numbers(_ name: String) throws -> [Int] {
            try call.ids(name).map { id in
                guard let tensor = call.function[id].constant, tensor.count == 1, let value = tensor.int(at: 0) else {
                    throw Failure(.unsupported, "The parameter '\(name)' must be a list of single constants.")
                }
                return value
            }
        }
        let shapes = try call.types("ref_tensors").map(\.shape)
        let (begins, ends, masks) = (try numbers("begins"), try numbers("ends"), try numbers("end_masks"))
        guard begins.count == shapes.count, ends.count == shapes.count, masks.count == shapes.count else {
            throw Failure(.invalidArgument, "ref_tensors, begins, ends and end_masks must be equally long.")
        }
        return try shapes.indices.flatMap { index -> [Int] in
            let part = try SliceBounds(
                [shapes[index].count], begin: [begins[index]], end: [ends[index]], endMask: [masks[index] != 0])
            return (0..<part.length[0]).map { shapes[index][part.begin[0] + $0] }
        }
    }

    /// The types of a list of tensors, at least one and all of one element type.
    private static func oneType(_ call: Call, _ name: String) throws -> [TensorType] {
        let types = try call.types(name)
        guard let first = types.first else {
            throw Failure(.invalidArgument, "The parameter '\(name)' is empty; it needs a tensor.")
        }
        for type in types where type.dtype != first.dtype {
            throw Failure(
                .wrongType, "The tensors are \(first.dtype.name) and \(type.dtype.name); all must be of one type.")
        }
        return types
    }

    private static func replaced(_ shape: [Int], _ axis: Int, _ size: Int) -> [Int] {
        shape.enumerated().map { $0 == axis ? size : $1 }
    }

    private static func inserted(_ shape: [Int], _ axis: Int, _ size: Int) -> [Int] {
        Array(shape[..<axis]) + [size] + shape[axis...]
    }

    /// The length of one axis of slice_by_size, checked against the shape.
    private static func checkSlice(_ begin: Int, _ size: Int, _ shape: [Int], _ axis: Int) throws -> Int {
        let length = size == -1 ? shape[axis] - begin : size
        guard length >= 0, begin + length <= shape[axis] else {
            throw Failure(
                .outOfRange,
                "The slice of \(size) elements from \(begin) leaves axis \(axis), which has \(shape[axis]) elements.")
        }
        return length
    }

    private static func split(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let x = try call.type("x")
        let parts = try SplitSizes(call)
        var start = 0
        return try parts.sizes.enumerated().map { index, size in
            let name = "\(call.name)_\(index)"
            let begin = function.ints(
                replaced(Array(repeating: 0, count: x.rank), parts.axis, start), name: "\(name)_begin")
            let sizes = function.ints(replaced(x.shape, parts.axis, size), name: "\(name)_size")
            start += size
            return try function.one(
                "slice_by_size", name: "\(name)_slice", ["x": [call.id("x")], "begin": [begin], "size": [sizes]])
        }
    }

    private static func stack(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let shape = try oneType(call, "values")[0].shape
        let axis = try call.axis(rank: shape.count + 1)
        let values = try call.ids("values").enumerated().map { index, value in
            try function.reshape(value, inserted(shape, axis, 1), name: "\(call.name)_\(index)")
        }
        let axisID = function.int(axis, name: "\(call.name)_axis")
        return [try function.one("concat", name: "\(call.name)_concat", ["values": values, "axis": [axisID]])]
    }
}
