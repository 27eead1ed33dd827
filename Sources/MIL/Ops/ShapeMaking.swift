// Shape, third part: ops that make tensors from a few numbers.

extension OpTable {
    static let makingOps: [Op] = [
        Op(
            "fill", .shape, "a tensor of a shape with one value everywhere",
            [
                .tensor("shape", "the shape", .integers),
                .constant("value", "the value, which also gives the element type", .all, default: Tensor(Float(0))),
            ]
        ) { [TensorType(try valueType($0), try $0.ints("shape", in: Call.sizes))] },
        Op(
            "fill_like", .shape, "a tensor of the shape of another with one value everywhere",
            [
                .tensor("ref_tensor", "the tensor that gives the shape", .all),
                .constant("value", "the value, which also gives the element type", .all, default: Tensor(Float(0))),
            ],
            expansion: { call, function in
                let shape = function.ints(try call.type("ref_tensor").shape, name: "\(call.name)_shape")
                var arguments = [Argument("shape", [shape])]
                if call.has("value") { arguments.append(Argument("value", [try call.id("value")])) }
                return [try function.one(Operation("fill", arguments, outputs: []), name: "\(call.name)_fill")]
            }
        ) { [TensorType(try valueType($0), try $0.type("ref_tensor").shape)] },
        Op(
            "range_1d", .shape, "the numbers from start in steps, before end",
            [
                .tensor("end", "where to stop, itself left out"), .tensor("start", "the first number"),
                .tensor("step", "the step"),
            ]
        ) { call in
            let types = try ["start", "end", "step"].map { try call.type($0) }
            guard types.allSatisfy({ $0.dtype == types[0].dtype }) else {
                throw Failure(.wrongType, "start, end and step must be of one type.")
            }
            return [TensorType(types[0].dtype, [try RangeNumbers(call).count])]
        },
        Op(
            "one_hot", .shape, "on_value at each index along a new axis, off_value elsewhere",
            [
                .tensor("indices", "where on_value stands", .integers),
                .tensor("one_hot_vector_size", "the length of the new axis", .integers),
                .int("axis", "where the new axis stands in the result", default: -1),
                .constant("on_value", "the value at the index", .all, default: Tensor(Int32(1))),
                .constant("off_value", "the value elsewhere", .all, default: Tensor(Int32(0))),
            ],
            expansion: oneHot
        ) { call in
            let indices = try call.type("indices").shape
            let axis = try call.axis(rank: indices.count + 1)
            let size = try call.int("one_hot_vector_size", in: Call.sizes)
            guard let on = call.constant("on_value"), let off = call.constant("off_value"), on.dtype == off.dtype else {
                throw Failure(.wrongType, "on_value and off_value must be of one type.")
            }
            return [TensorType(on.dtype, indices[..<axis] + [size] + indices[axis...])]
        },
        Op(
            "band_part", .shape, "x with 0 outside a band around the diagonal of the last two axes",
            [
                .tensor("x", "the matrices", .all),
                .int("lower", "diagonals kept below the main one; all where negative", default: -1),
                .int("upper", "diagonals kept above the main one; all where negative", default: -1),
            ],
            expansion: band
        ) { call in
            let limit = Call.sizes.upperBound
            for name in ["lower", "upper"] { _ = try call.int(name, in: -limit...limit) }
            return [try call.type("x", rank: 2...Int.max)]
        },
    ]

    private static func valueType(_ call: Call) throws -> DataType {
        guard let value = call.constant("value"), value.count == 1 else {
            throw Failure(.invalidArgument, "The parameter 'value' must be one value.")
        }
        return value.dtype
    }

    /// The numbers 0, 1, … along one axis of a tensor of a rank.
    private static func counting(_ function: inout Function, _ count: Int, axis: Int, rank: Int, name: String) throws
        -> ValueID
    {
        let zero = function.int(0, name: "\(name)_start")
        let numbers = try function.one(
            "range_1d", name: "\(name)_range",
            [
                "end": [function.int(count, name: "\(name)_end")], "start": [zero],
                "step": [function.int(1, name: "\(name)_step")],
            ])
        return try function.vector(numbers, along: axis, rank: rank, name: name)
    }

    private static func oneHot(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let name = call.name
        let indices = try call.type("indices").shape
        let axis = try call.axis(rank: indices.count + 1)
        let size = try call.int("one_hot_vector_size", in: Call.sizes)
        let numbers = try counting(&function, size, axis: axis, rank: indices.count + 1, name: "\(name)_numbers")
        let whole = try function.cast(call.id("indices"), to: .int32, name: "\(name)_indices")
        let spread = try function.reshape(whole, indices[..<axis] + [1] + indices[axis...], name: "\(name)_indices")
        let hit = try function.one("equal", name: "\(name)_hit", ["x": [spread], "y": [numbers]])
        guard let on = call.constant("on_value"), let off = call.constant("off_value") else {
            throw Failure(.wrongType, "on_value and off_value must be constants.")
        }
        let values = (on: function.constant(on, name: "\(name)_on"), off: function.constant(off, name: "\(name)_off"))
        return [
            try function.one("select", name: "\(name)_select", ["cond": [hit], "a": [values.on], "b": [values.off]])
        ]
    }

    private static func band(_ call: Call, _ function: inout Function) throws -> [ValueID] {
        let name = call.name
        let type = try call.type("x", rank: 2...Int.max)
        let rows = try counting(&function, type.shape[type.rank - 2], axis: 0, rank: 2, name: "\(name)_rows")
        let columns = try counting(&function, type.shape[type.rank - 1], axis: 1, rank: 2, name: "\(name)_columns")
        let distance = try function.one("sub", name: "\(name)_distance", ["x": [columns], "y": [rows]])
        var x = try call.id("x")
        for (side, op, sign) in [("lower", "greater_equal", -1), ("upper", "less_equal", 1)] {
            let width = try call.int(side)
            guard width >= 0 else { continue }
            let edge = function.int(sign * width, name: "\(name)_\(side)")
            let inside = try function.one(op, name: "\(name)_inside_\(side)", ["x": [distance], "y": [edge]])
            let zero = function.number(0, as: type.dtype, name: "\(name)_zero_\(side)")
            x = try function.one("select", name: "\(name)_select_\(side)", ["cond": [inside], "a": [x], "b": [zero]])
        }
        return [x]
    }
}

/// The numbers of a `range_1d`.
public struct RangeNumbers: Sendable, Hashable {
    public let start: Double
    public let step: Double
    public let count: Int

    public init(_ call: Call) throws {
        if let whole = try WholeRange(call) {
            (start, step, count) = (Double(whole.start), Double(whole.step), whole.count)
            return
        }
        func number(_ name: String) throws -> Double {
            let tensor = try call.known(name)
            guard tensor.count == 1, tensor.dtype != .string, tensor.double(at: 0).isFinite else {
                throw Failure(.invalidArgument, "The parameter '\(name)' must be one finite number.")
            }
            return tensor.double(at: 0)
        }
        (start, step) = (try number("start"), try number("step"))
        guard step != 0 else { throw Failure(.invalidArgument, "The step is 0; it must be another number.") }
        let length = ((try number("end") - start) / step).rounded(.up)
        guard length < Double(TensorType.largestByteCount) else {
            throw Failure(.outOfMemory, "The range holds more numbers than any tensor.")
        }
        count = length > 0 ? Int(length) : 0
    }
}

/// The numbers of a `range_1d` of integers, exact in 64 bits.
public struct WholeRange: Sendable, Hashable {
    public let start: Int
    public let step: Int
    public let count: Int

    /// Nil if one of the numbers is not an integer, or does not fit in Int.
    public init?(_ call: Call) throws {
        let bounds = try ["start", "end", "step"].compactMap { name -> Int? in
            let tensor = try call.known(name)
            return tensor.dtype.isInteger && tensor.count == 1 ? tensor.int(at: 0) : nil
        }
        guard bounds.count == 3 else { return nil }
        (start, step) = (bounds[0], bounds[2])
        guard step != 0 else { throw Failure(.invalidArgument, "The step is 0; it must be another number.") }
        let isEmpty = step > 0 ? bounds[1] <= start : bounds[1] >= start
        // The distance of two numbers of 64 bits fits in as many bits without sign.
        let distance = step > 0 ? UInt(bitPattern: bounds[1] &- start) : UInt(bitPattern: start &- bounds[1])
        let length = isEmpty ? 0 : (distance - 1) / step.magnitude + 1
        guard length < UInt(TensorType.largestByteCount) else {
            throw Failure(.outOfMemory, "The range holds more numbers than any tensor.")
        }
        count = Int(length)
    }
}
