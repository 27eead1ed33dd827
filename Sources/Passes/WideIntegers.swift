import MIL

extension Function {
    /// The same function with int32 where the program narrows integers to 16 bits only to move them.
    ///
    /// For iOS 17 and later, coremltools casts int32 values to int16 or uint16 in front of `gather`, `squeeze` and `topk`, and
    /// back after them, whatever their range; a token id of 151935 does not survive that. Here such casts, and positions
    /// that are asked for in 16 bits, give int32, which ops that only move elements or read them as indices take as it is.
    /// Every other reader, and the caller, gets the declared type. Integers of 8 bits stay: no converter introduces them.
    public func withWideIntegers() -> Function {
        guard values.contains(where: { IntegerWidener.isNarrow($0.type) }) else { return self }
        var widener = IntegerWidener(self)
        for operation in operations { widener.append(operation) }
        return widener.result ?? self
    }
}

private struct IntegerWidener {
    private var function: Function
    /// The int32 value that stands for a narrow one.
    private var wide: [ValueID: ValueID] = [:]

    private static let narrow: Set<DataType> = [.int16, .uint16]

    static func isNarrow(_ type: ValueType) -> Bool { type.tensor.map { narrow.contains($0.dtype) } ?? false }

    init(_ function: Function) {
        self.function = function
        self.function.block.operations = []
    }

    /// The rewritten function; nil if nothing changed.
    var result: Function? {
        guard !wide.isEmpty else { return nil }
        var result = function
        result.removeDead()
        // A plan finds results by name, so the value that is computed keeps it unless both are.
        let made = Set(result.operations.flatMap(\.outputs))
        for (narrow, wide) in wide where made.contains(narrow) { result[wide].name += "_int32" }
        return result
    }

    mutating func append(_ operation: Operation) {
        guard let (wider, types) = widened(operation) else {
            function.block.operations.append(operation)
            return
        }
        var (widerOutputs, casts) = (operation.outputs, [Operation]())
        for (index, id) in operation.outputs.enumerated() where function[id].type != types[index] {
            guard let declared = function[id].type.tensor?.dtype else { continue }
            let new = function.add(Value(name: function[id].name, type: types[index]))
            (widerOutputs[index], wide[id]) = (new, new)
            let dtype = function.constant(Tensor(declared.name), name: "\(function[id].name)_dtype")
            casts.append(Operation("cast", [Argument("x", [new]), Argument("dtype", [dtype])], outputs: [id]))
        }
        function.block.operations.append(Operation(wider.op, wider.arguments, outputs: widerOutputs))
        function.block.operations += casts
    }

    /// The operation on wide integers, with the types of its results; nil if it stays as it is.
    private mutating func widened(_ operation: Operation) -> (Operation, [ValueType])? {
        guard let op = OpTable[operation.op], op.custom == nil, operation.blocks.isEmpty else { return nil }
        var (wider, isChanged) = (operation, false)
        let carries = op.carries(operation, in: function)
        for index in wider.arguments.indices {
            guard let parameter = op.parameter(wider.arguments[index].name) else { return nil }
            let values = wider.arguments[index].values
            if carries, parameter.isElements, values.contains(where: { wide[$0] != nil }) {
                // Operands that go along are of one type.
                for argument in wider.arguments.indices
                where op.parameter(wider.arguments[argument].name)?.isElements == true {
                    wider.arguments[argument].values = wider.arguments[argument].values.map { widened($0) }
                }
                isChanged = true
            } else if op.reads(parameter) || op.name == "cast" && parameter.name == "x" {
                wider.arguments[index].values = values.map { wide[$0] ?? $0 }
                isChanged = isChanged || wider.arguments[index].values != values
            } else if op.namesType(parameter), op.name != "cast" || narrowsInt32(operation), let id = values.first,
                let name = function[id].constant?.strings.first,
                let dtype = DataType(name: name.lowercased()), Self.narrow.contains(dtype)
            {
                let text = function.constant(Tensor(DataType.int32.name), name: function[id].name)
                wider.arguments[index].values = [text]
                isChanged = true
            }
        }
        // Whatever the op does not take in int32 stays as declared.
        guard isChanged, let types = try? Call(wider, in: function).infer(), types.count == operation.outputs.count,
            zip(operation.outputs, types).allSatisfy({ isDeclared($0, $1) })
        else { return nil }
        return (wider, types)
    }

    /// Whether a cast takes int32, which is all that coremltools casts to 16 bits by itself.
    private func narrowsInt32(_ cast: Operation) -> Bool {
        cast["x"]?.first.flatMap { function[$0].type.tensor?.dtype } == .int32
    }

    /// A 16-bit value as int32: the one it was computed from, else a cast.
    private mutating func widened(_ id: ValueID) -> ValueID {
        if let known = wide[id] { return known }
        guard let type = function[id].type.tensor, Self.narrow.contains(type.dtype) else { return id }
        let name = "\(function[id].name)_int32"
        if let constant = function[id].constant {
            let values = (0..<constant.count).map { constant.double(at: $0) }
            return function.constant(Tensor(values, dtype: .int32, shape: type.shape), name: name)
        }
        let dtype = function.constant(Tensor(DataType.int32.name), name: "\(name)_dtype")
        let cast = Operation("cast", [Argument("x", [id]), Argument("dtype", [dtype])], outputs: [])
        return (try? function.append(cast, name: name).first) ?? id
    }

    /// Whether a type is the declared one, or int32 instead of 16 bits.
    private func isDeclared(_ id: ValueID, _ type: ValueType) -> Bool {
        guard let declared = function[id].type.tensor, let found = type.tensor else { return function[id].type == type }
        return declared == found
            || declared.shape == found.shape && Self.narrow.contains(declared.dtype) && found.dtype == .int32
    }
}

extension Op {
    /// Whether elements of any type go through unchanged.
    fileprivate func carries(_ operation: Operation, in function: Function) -> Bool {
        if let mode = parameter("mode"), name.hasPrefix("scatter") {
            let given = operation["mode"]?.first.flatMap { function[$0].constant } ?? mode.defaultValue
            return given?.strings.first == "update"
        }
        return family == .shape || family == .indexing || name == "identity" || name == "select"
    }

    /// Whether a parameter names the element type of a cast or of positions.
    fileprivate func namesType(_ parameter: Parameter) -> Bool {
        switch family {
        case .indexing, .reduction: ["output_dtype", "output_indices_dtype"].contains(parameter.name)
        default: name == "cast" && parameter.name == "dtype"
        }
    }

    /// Whether integers of any type that go in are indices or sizes.
    fileprivate func reads(_ parameter: Parameter) -> Bool {
        (family == .shape || family == .indexing || family == .image)
            && parameter.dtypes.isSubset(of: .integers)
    }
}

extension Op.Parameter {
    /// Whether it takes elements as such, rather than indices, sizes or conditions.
    fileprivate var isElements: Bool { dtypes.isSuperset(of: [.int16, .uint16, .int32, .float32]) }
}
