/// Names a value inside one function.
public struct ValueID: Hashable, Sendable, Comparable {
    public let index: Int32

    public init(_ index: Int) { self.index = Int32(index) }
    public static func < (a: ValueID, b: ValueID) -> Bool { a.index < b.index }
}

/// A value of a function: a name, a type and, where it is known before the run, its constant.
public struct Value: Sendable {
    public var name: String
    public var type: ValueType
    public var constant: Tensor?

    public init(name: String, type: ValueType, constant: Tensor? = nil) {
        self.name = name
        self.type = type
        self.constant = constant
    }
}

/// One argument of an operation: the parameter's name and the values bound to it, several where it takes a list.
public struct Argument: Sendable {
    public var name: String
    public var values: [ValueID]

    public init(_ name: String, _ values: [ValueID]) {
        self.name = name
        self.values = values
    }
}

/// One application of an op. Constants are values, so an operation has arguments only and no attributes.
public struct Operation: Sendable {
    public var op: String
    public var arguments: [Argument]
    public var outputs: [ValueID]
    public var blocks: [Block]

    public init(_ op: String, _ arguments: [Argument], outputs: [ValueID], blocks: [Block] = []) {
        self.op = op
        self.arguments = arguments
        self.outputs = outputs
        self.blocks = blocks
    }

    public subscript(_ name: String) -> [ValueID]? {
        for argument in arguments where argument.name == name { return argument.values }
        return nil
    }

    public var inputs: [ValueID] { arguments.flatMap(\.values) }
}

/// Operations in order, with what comes in and what goes out. Branches and loops hold nested blocks.
public struct Block: Sendable {
    public var inputs: [ValueID]
    public var operations: [Operation]
    public var outputs: [ValueID]

    public init(inputs: [ValueID] = [], operations: [Operation] = [], outputs: [ValueID] = []) {
        self.inputs = inputs
        self.operations = operations
        self.outputs = outputs
    }
}

/// A function: its values, and a block over them.
public struct Function: Sendable {
    public var name: String
    /// The opset the file named, such as `CoreML7`; inside there is one form of each op.
    public var opset: String
    public var values: [Value]
    public var block: Block

    public init(name: String = "main", opset: String = "CoreML7") {
        self.name = name
        self.opset = opset
        values = []
        block = Block()
    }

    public subscript(_ id: ValueID) -> Value {
        _read { yield values[Int(id.index)] }
        _modify { yield &values[Int(id.index)] }
    }

    public var inputs: [ValueID] { block.inputs }
    public var outputs: [ValueID] { block.outputs }
    public var operations: [Operation] { block.operations }

    /// The tensor type of a value; a failure names values of other types.
    public func tensorType(_ id: ValueID) throws -> TensorType {
        guard let type = self[id].type.tensor else {
            throw Failure(.wrongType, "The value '\(self[id].name)' is a \(self[id].type), where a tensor is wanted.")
        }
        return type
    }

    /// Adds a value and returns its identifier.
    public mutating func add(_ value: Value) -> ValueID {
        values.append(value)
        return ValueID(values.count - 1)
    }

    /// Adds a constant.
    public mutating func constant(_ tensor: Tensor, name: String) -> ValueID {
        add(Value(name: name, type: .tensor(tensor.type), constant: tensor))
    }

    /// Adds an input.
    public mutating func input(_ name: String, _ type: ValueType) -> ValueID {
        let id = add(Value(name: name, type: type))
        block.inputs.append(id)
        return id
    }

    /// Appends one operation; its output types are inferred. An output is named after the operation, further ones are numbered.
    @discardableResult
    public mutating func append(_ op: String, name: String, _ arguments: KeyValuePairs<String, [ValueID]>) throws
        -> [ValueID]
    {
        try append(Operation(op, arguments.map { Argument($0.key, $0.value) }, outputs: []), name: name)
    }

    /// Appends an operation that has no outputs yet.
    @discardableResult
    public mutating func append(_ operation: Operation, name: String) throws -> [ValueID] {
        var operation = operation
        let types = try Call(operation, in: self).infer()
        operation.outputs = types.enumerated().map { index, type in
            add(Value(name: types.count == 1 ? name : "\(name)_\(index)", type: type))
        }
        block.operations.append(operation)
        return operation.outputs
    }

    /// Every operation, those of nested blocks before the operation that holds them.
    public var allOperations: [Operation] {
        func flatten(_ block: Block) -> [Operation] {
            block.operations.flatMap { $0.blocks.flatMap(flatten) + [$0] }
        }
        return flatten(block)
    }
}

/// A program: functions by name.
public struct Program: Sendable {
    public var functions: [Function]
    /// The function that runs if none is named.
    public var defaultFunction: String

    public init(functions: [Function], defaultFunction: String = "main") {
        self.functions = functions
        self.defaultFunction = defaultFunction
    }

    /// The function of a name, or the default one; a failure lists the names there are.
    public func function(_ name: String? = nil) throws -> Function {
        let wanted = name ?? defaultFunction
        if let match = functions.first(where: { $0.name == wanted }) { return match }
        let names = functions.map { "'\($0.name)'" }.joined(separator: ", ")
        throw Failure(.invalidArgument, "There is no function '\(wanted)'; the program has \(names).")
    }
}
