import MIL

/// Brings operations of old opsets to the one form inside, the newest, and back. Most ops only gained parameters whose
/// default is the old behaviour: leaving one out means the same in every opset. The tables list what else there is.
enum Upgrade {
    /// Parameters that came later than their op, with the first opset that has them; nil where none has.
    private static let since: [(ops: Set<String>, parameter: String, opset: String?)] = [
        (["argsort", "non_zero"], "output_dtype", nil),
        (["crop_resize"], "pad_value", "CoreML6"),
        (["gather", "gather_nd"], "batch_dims", "CoreML6"),
        (["topk"], "sort", "CoreML6"),
        (["topk"], "return_indices", "CoreML6"),
        (["upsample_bilinear"], "half_pixel_centers", "CoreML6"),
        (
            ["gather", "gather_along_axis", "gather_nd", "scatter", "scatter_along_axis", "scatter_nd"],
            "validate_indices", "CoreML7"
        ),
        (["reduce_argmax", "reduce_argmin"], "output_dtype", "CoreML7"),
        (["topk"], "output_indices_dtype", "CoreML7"),
        (["crop_resize"], "box_indices", "CoreML7"),
        (["crop_resize"], "boxes", "CoreML7"),
        (["gru"], "reset_after", "CoreML8"),
        (["gru"], "input_bias", "CoreML8"),
    ]

    private static func isKnown(_ parameter: String, of op: String, _ opset: Int) -> Bool {
        for entry in since where entry.parameter == parameter && entry.ops.contains(op) {
            return entry.opset.map { opset >= Opset.rank($0) ?? 0 } ?? false
        }
        return true
    }

    // MARK: Reading

    static func apply(to function: inout Function) throws {
        function.takeBitsAsIndices()
        try function.splitRegions()
        try apply(to: &function.block, in: function)
    }

    private static func apply(to block: inout Block, in function: Function) throws {
        for index in block.operations.indices {
            sortArguments(&block.operations[index])
            for nested in block.operations[index].blocks.indices {
                try apply(to: &block.operations[index].blocks[nested], in: function)
            }
        }
    }

    /// Files keep arguments in no particular order; inside they stand as the row lists them.
    private static func sortArguments(_ operation: inout Operation) {
        guard operation.arguments.count > 1, let op = OpTable[operation.op] else { return }
        var sorted: [Argument] = []
        sorted.reserveCapacity(operation.arguments.count)
        for parameter in op.parameters {
            for argument in operation.arguments where argument.name == parameter.name { sorted.append(argument) }
        }
        // Arguments the row does not know stay, last: the check names them.
        if sorted.count < operation.arguments.count {
            sorted += operation.arguments.filter { op.parameter($0.name) == nil }
        }
        operation.arguments = sorted
    }

    // MARK: Writing

    /// Whether an argument is written in an opset. One that the opset does not know yet may only say the default.
    static func writes(_ argument: Argument, of operation: Operation, in function: Function, _ opset: Int) throws
        -> Bool
    {
        if isKnown(argument.name, of: operation.op, opset) { return true }
        if let value = argument.values.first.flatMap({ function[$0].constant }),
            let standard = OpTable[operation.op]?.parameter(argument.name)?.defaultValue, value.says(standard)
        {
            return false
        }
        throw Failure(
            .unsupported,
            "op '\(operation.op)' has no parameter '\(argument.name)' in \(function.opset); leave it at its default, or take "
                + "a newer opset where one has it.")
    }

    /// The parameters an operation leaves out, with what that means, as far as the opset knows them.
    static func leftOut(of operation: Operation, in function: Function, _ opset: Int) -> [(name: String, value: Tensor)]
    {
        guard let op = OpTable[operation.op] else { return [] }
        let x = operation.inputs.first.flatMap { function[$0].type.tensor }
        return op.parameters.compactMap { parameter in
            guard operation[parameter.name] == nil, isKnown(parameter.name, of: op.name, opset) else { return nil }
            if let value = parameter.defaultValue {
                // A default takes the type of a floating-point x. An x of integers may be a shape, whose type says
                // nothing about other parameters; of those only `constant_val`, which pads x, takes the type of x.
                let isLike = x.map { $0.dtype.isFloat || parameter.name == "constant_val" } ?? false
                let wanted = x.flatMap { isLike && parameter.dtypes.contains($0.dtype) ? $0.dtype : nil }
                return (parameter.name, value.asNumber(like: wanted))
            }
            let value = sized(parameter.name, of: operation, in: function)
            return (value ?? x.flatMap { shaped(parameter.name, op, rank: $0.rank) }).map { (parameter.name, $0) }
        }
    }

    /// Defaults whose length follows from the rank.
    private static func shaped(_ parameter: String, _ op: Op, rank: Int) -> Tensor? {
        switch (op.family, parameter) {
        case (.convolution, "strides"), (.convolution, "dilations"):
            rank > 2 ? Tensor([Int32](repeating: 1, count: rank - 2)) : nil
        case (.convolution, "pad"): rank > 2 ? Tensor([Int32](repeating: 0, count: 2 * (rank - 2))) : nil
        case (.reduction, "axes"), (.normalization, "axes"): rank > 0 ? Tensor((0..<Int32(rank)).map { $0 }) : nil
        default: nil
        }
    }

    /// Defaults whose length follows from another argument.
    private static func sized(_ parameter: String, of operation: Operation, in function: Function) -> Tensor? {
        func type(_ name: String) -> TensorType? { operation[name]?.first.flatMap { function[$0].type.tensor } }
        func all(_ value: Double, like type: TensorType?, count: Int?) -> Tensor? {
            guard let type, let count, count > 0 else { return nil }
            return Tensor([Double](repeating: value, count: count), dtype: type.dtype, shape: [count])
        }
        switch (operation.op, parameter) {
        case ("linear", "bias"): return all(0, like: type("x"), count: type("weight")?.shape.first)
        case ("layer_norm", "gamma"):
            return type("beta").flatMap { all(1, like: $0, count: $0.count)?.reshaped($0.shape) }
        case ("layer_norm", "beta"):
            return type("gamma").flatMap { all(0, like: $0, count: $0.count)?.reshaped($0.shape) }
        case ("crop_resize", "box_indices"):
            return type("boxes")?.shape.first.flatMap { $0 > 0 ? Tensor((0..<Int32($0)).map { $0 }) : nil }
        default: return nil
        }
    }
}

extension Tensor {
    /// Whether two small tensors hold the same elements, their types aside.
    fileprivate func says(_ other: Tensor) -> Bool {
        guard count == other.count, count < 1024 else { return false }
        if dtype == .string || other.dtype == .string { return strings == other.strings && dtype == other.dtype }
        return (0..<count).allSatisfy { double(at: $0) == other.double(at: $0) }
    }

    /// A default of floating-point numbers takes the type of the values it meets, where that holds it.
    fileprivate func asNumber(like dtype: DataType?) -> Tensor {
        let numbers = (0..<count).map { double(at: $0) }
        guard let dtype, self.dtype.isFloat, dtype != self.dtype,
            dtype.isFloat || (dtype.isInteger && numbers.allSatisfy { $0 == $0.rounded() && $0.magnitude < 127 })
        else { return self }
        return Tensor(numbers, dtype: dtype, shape: shape)
    }
}
