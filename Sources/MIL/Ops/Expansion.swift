// Short forms for what expansions write most: one operation with one result, and the constants it takes.

extension Function {
    /// Appends an operation with one output and returns it.
    mutating func one(_ op: String, name: String, _ arguments: KeyValuePairs<String, [ValueID]>) throws -> ValueID {
        try one(Operation(op, arguments.map { Argument($0.key, $0.value) }, outputs: []), name: name)
    }

    mutating func one(_ operation: Operation, name: String) throws -> ValueID {
        let outputs = try append(operation, name: name)
        guard outputs.count == 1 else {
            throw Failure(.bug, "The op '\(operation.op)' has \(outputs.count) outputs; one was expected.")
        }
        return outputs[0]
    }

    /// A constant list of integers, of 32 bits as in Core ML if they fit.
    mutating func ints(_ values: [Int], name: String) -> ValueID {
        let short = values.compactMap { Int32(exactly: $0) }
        return constant(short.count == values.count ? Tensor(short) : Tensor(values.map { Int64($0) }), name: name)
    }

    mutating func int(_ value: Int, name: String) -> ValueID {
        constant(Int32(exactly: value).map { Tensor($0) } ?? Tensor(Int64(value)), name: name)
    }

    /// A constant number in the element type of the values it meets.
    mutating func number(_ value: Double, as dtype: DataType, name: String) -> ValueID {
        constant(Tensor([value], dtype: dtype, shape: []), name: name)
    }

    mutating func reshape(_ x: ValueID, _ shape: [Int], name: String) throws -> ValueID {
        let isEmpty = shape.contains(0)
        let shape = ints(shape, name: "\(name)_shape")
        if isEmpty {
            // To reshape, 0 means "as before"; without elements a new tensor is as good as the old one.
            let zero = number(0, as: try tensorType(x).dtype, name: "\(name)_nothing")
            return try one("fill", name: "\(name)_empty", ["shape": [shape], "value": [zero]])
        }
        return try one("reshape", name: "\(name)_reshape", ["x": [x], "shape": [shape]])
    }

    mutating func transpose(_ x: ValueID, _ permutation: [Int], name: String) throws -> ValueID {
        if permutation == Array(permutation.indices) { return x }
        let perm = ints(permutation, name: "\(name)_perm")
        return try one("transpose", name: "\(name)_transpose", ["x": [x], "perm": [perm]])
    }

    mutating func cast(_ x: ValueID, to dtype: DataType, name: String) throws -> ValueID {
        if try tensorType(x).dtype == dtype { return x }
        let text = constant(Tensor(dtype.name), name: "\(name)_dtype")
        return try one("cast", name: "\(name)_cast_\(dtype.name)", ["x": [x], "dtype": [text]])
    }

    /// x with length-1 axes around one axis, so that a vector meets that axis of a tensor of a rank.
    mutating func vector(_ x: ValueID, along axis: Int, rank: Int, name: String) throws -> ValueID {
        let type = try tensorType(x)
        guard type.rank == 1, rank > 1, axis < rank, axis >= 0 else { return x }
        var shape = [Int](repeating: 1, count: rank)
        shape[axis] = type.shape[0]
        return try reshape(x, shape, name: name)
    }
}
