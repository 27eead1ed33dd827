/// An operation seen together with its row and its function: the arguments by parameter name, defaults filled in.
public struct Call: Sendable {
    public let op: Op
    public let operation: Operation
    public let function: Function

    /// `row` stands for the op where the caller keeps one: names of custom ops may stand for others later.
    public init(_ operation: Operation, in function: Function, row: Op? = nil) throws {
        guard let op = row ?? OpTable[operation.op] else {
            throw Failure(.unsupported, "There is no op '\(operation.op)'.")
        }
        self.op = op
        self.operation = operation
        self.function = function
    }

    /// Checks the arguments against the row and returns the types of the outputs.
    public func infer() throws -> [ValueType] {
        do {
            try check()
            for id in operation.inputs { try checkSize(id) }
            let types = try op.infer(self)
            for type in types where !type.isOpen { _ = try type.checkedByteCount() }
            return types.map { .tensor($0) }
        } catch let failure as Failure {
            throw failure.at(operation: place)
        }
    }

    /// `op 'conv' (y)`: the op and its first output, for messages.
    public var place: String {
        operation.outputs.first.map { "op '\(op.name)' (\(function[$0].name))" } ?? "op '\(op.name)'"
    }

    /// The name of the first output, from which expansions name theirs.
    var name: String { operation.outputs.first.map { function[$0].name } ?? op.name }

    /// Every argument is known to the row, every required parameter has one, each with a type the row accepts.
    public func check() throws {
        for argument in operation.arguments {
            guard let parameter = op.parameter(argument.name) else {
                let names = op.parameters.map(\.name).joined(separator: ", ")
                throw Failure(.invalidArgument, "There is no parameter '\(argument.name)'; there are \(names).")
            }
            guard parameter.isList || argument.values.count == 1 else {
                throw Failure(
                    .invalidArgument, "The parameter '\(argument.name)' takes one value, not \(argument.values.count).")
            }
            for id in argument.values {
                let value = function[id]
                let dtype: DataType
                switch value.type {
                case .tensor(let type): dtype = type.dtype
                case .state(let type): dtype = type.dtype
                default:
                    throw Failure(
                        .wrongType, "The parameter '\(argument.name)' is a \(value.type), where a tensor is wanted.")
                }
                guard parameter.dtypes.contains(dtype) else {
                    let wanted = DataType.allCases.filter(parameter.dtypes.contains).map(\.name).joined(separator: ", ")
                    throw Failure(
                        .wrongType, "The parameter '\(argument.name)' is \(dtype.name); it must be one of \(wanted).")
                }
                guard !parameter.isConstant || value.constant != nil else {
                    throw Failure(
                        .unsupported,
                        "The parameter '\(argument.name)' comes from '\(value.name)', which is not known before the run; "
                            + "it must be a constant.")
                }
            }
        }
        for parameter in op.parameters where !parameter.isOptional && operation[parameter.name] == nil {
            throw Failure(.invalidArgument, "The parameter '\(parameter.name)' is missing: \(parameter.words)")
        }
    }

    private func checkSize(_ id: ValueID) throws {
        guard let type = function[id].type.tensor else { return }
        guard !type.isOpen else {
            throw Failure(
                .unsupported,
                "The size of '\(function[id].name)', a \(type), is not known before the run; it can be a result of the "
                    + "function, but not the operand of an op.")
        }
        _ = try type.checkedByteCount()
    }

    public func has(_ name: String) -> Bool { operation[name] != nil }

    public func id(_ name: String) throws -> ValueID {
        guard let id = operation[name]?.first else {
            throw Failure(.invalidArgument, "The parameter '\(name)' is missing.")
        }
        return id
    }

    public func ids(_ name: String) -> [ValueID] { operation[name] ?? [] }

    public func type(_ name: String) throws -> TensorType { try function.tensorType(id(name)) }

    public func types(_ name: String) throws -> [TensorType] { try ids(name).map(function.tensorType) }

    /// The constant bound to a parameter, or its default; nil where it is absent or not constant.
    public func constant(_ name: String) -> Tensor? {
        guard let id = operation[name]?.first else { return op.parameter(name)?.defaultValue }
        return function[id].constant
    }

    /// The constant bound to a parameter; a failure where it is only computed during the run.
    public func known(_ name: String) throws -> Tensor {
        guard let tensor = constant(name) else {
            throw Failure(.unsupported, "The parameter '\(name)' must be known before the run.")
        }
        return tensor
    }

    /// The operation alone, as a function of one line whose arguments are this call's constants.
    public func alone() throws -> Function {
        var function = Function(name: op.name, opset: self.function.opset)
        let arguments = operation.arguments.map { argument in
            Argument(argument.name, argument.values.map { function.add(self.function[$0]) })
        }
        function.block.outputs = try function.append(Operation(op.name, arguments, outputs: []), name: op.name)
        return function
    }

    private func known<T>(_ name: String, _ what: String, _ read: (Tensor) -> T?) throws -> T {
        let tensor = try known(name)
        guard tensor.count <= Call.longestList else {
            throw Failure(
                .invalidArgument,
                "The parameter '\(name)' has \(tensor.count) elements; at most \(Call.longestList) make sense.")
        }
        guard let value = read(tensor) else { throw Failure(.wrongType, "The parameter '\(name)' must be \(what).") }
        return value
    }

    /// No list of sizes, axes or switches is longer than this.
    static let longestList = 1 << 16

    public func int(_ name: String) throws -> Int {
        try known(name, "one integer") { $0.count == 1 ? $0.int(at: 0) : nil }
    }
    public func ints(_ name: String) throws -> [Int] { try known(name, "integers") { $0.ints } }
    public func bool(_ name: String) throws -> Bool {
        try known(name, "true or false") { $0.count == 1 ? $0.int(at: 0).map { $0 != 0 } : nil }
    }
    public func bools(_ name: String) throws -> [Bool] { try known(name, "booleans") { $0.ints?.map { $0 != 0 } } }
    public func float(_ name: String) throws -> Float {
        try known(name, "one number") { $0.count == 1 && $0.dtype != .string ? Float($0.double(at: 0)) : nil }
    }
    public func text(_ name: String) throws -> String { try known(name, "a text") { $0.strings.first } }

    /// One integer within a range.
    public func int(_ name: String, in range: ClosedRange<Int>) throws -> Int { try within(range, name, int(name)) }

    /// Integers within a range; exactly `count` of them if it is given.
    public func ints(_ name: String, count: Int? = nil, in range: ClosedRange<Int>) throws -> [Int] {
        let values = try ints(name)
        guard count == nil || values.count == count else {
            throw Failure(
                .invalidArgument, "The parameter '\(name)' has \(values.count) elements; it must have \(count ?? 0).")
        }
        return try values.map { try within(range, name, $0) }
    }

    private func within(_ range: ClosedRange<Int>, _ name: String, _ value: Int) throws -> Int {
        guard range.contains(value) else {
            let open = range.upperBound >= Call.sizes.upperBound && value < range.lowerBound
            let wanted = open ? "at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
            throw Failure(.outOfRange, "The parameter '\(name)' holds \(value); it must be \(wanted).")
        }
        return value
    }

    /// Sizes a parameter may hold: Core ML counts in 32 bits.
    public static let sizes = 0...Int(Int32.max)
    /// Sizes other than 0.
    public static let positive = 1...Int(Int32.max)

    /// A text out of a few; letter case does not matter where `anyCase`.
    public func text(_ name: String, among choices: [String], anyCase: Bool = false) throws -> String {
        let given = try text(name)
        if let choice = choices.first(where: { $0 == given || (anyCase && $0.lowercased() == given.lowercased()) }) {
            return choice
        }
        throw Failure(
            .invalidArgument,
            "The parameter '\(name)' is '\(given)'; it must be one of \(choices.joined(separator: ", ")).")
    }

    /// The element type of positions, which a text parameter names.
    func positions(
        _ name: String = "output_dtype", among choices: [DataType] = [.int32, .int64], anyCase: Bool = false
    ) throws -> DataType {
        DataType(name: try text(name, among: choices.map(\.name), anyCase: anyCase)) ?? .int32
    }

    /// The type of a parameter whose rank must lie within a range.
    public func type(_ name: String, rank: ClosedRange<Int>) throws -> TensorType {
        let type = try type(name)
        guard rank.contains(type.rank) else {
            let (least, most) = (rank.lowerBound, rank.upperBound)
            let wanted = least == most ? "\(least)" : most == Int.max ? "at least \(least)" : "from \(least) to \(most)"
            throw Failure(
                .invalidArgument, "The parameter '\(name)' has rank \(type.rank); its rank must be \(wanted).")
        }
        return type
    }

    /// Fails unless an argument, where there is one, has this shape.
    func expect(_ name: String, _ shape: [Int]) throws {
        guard has(name) else { return }
        let type = try type(name)
        guard type.shape == shape else {
            throw Failure(
                .invalidArgument, "The parameter '\(name)' has shape \(type.shape); it must have shape \(shape).")
        }
    }

    /// An axis counted from the end where negative, checked against a rank.
    public func axis(_ name: String = "axis", rank: Int) throws -> Int { try Call.axis(int(name), rank: rank) }

    /// Axes likewise, each at most once; `nil` or an empty list where they are left out.
    public func axes(_ name: String = "axes", rank: Int) throws -> [Int]? {
        guard constant(name) != nil || has(name) else { return nil }
        let axes = try ints(name).map { try Call.axis($0, rank: rank) }
        guard Set(axes).count == axes.count else { throw Failure(.invalidArgument, "The axes \(axes) repeat one.") }
        return axes
    }

    public static func axis(_ axis: Int, rank: Int) throws -> Int {
        guard axis >= -rank && axis < rank else {
            throw Failure(.outOfRange, "The axis \(axis) lies outside a tensor of rank \(rank).")
        }
        return axis < 0 ? axis + rank : axis
    }
}
