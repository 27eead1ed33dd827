import Synchronization

/// Who computes an op that was added at run time. `OpTable.register` makes such an op part of the language: MIL text,
/// models and eager calls find it by its name.
public final class CustomOp: Sendable {
    /// One value during one call: `type.count` elements in row-major order. It must not be kept.
    public struct Elements {
        public let type: TensorType
        public let pointer: UnsafeMutableRawPointer
        /// The texts of a tensor of strings.
        public let strings: [String]

        public init(_ type: TensorType, _ pointer: UnsafeMutableRawPointer, strings: [String] = []) {
            self.type = type
            self.pointer = pointer
            self.strings = strings
        }
    }

    /// Writes every element of the outputs. Inputs follow the parameters: the values of a list one after the other, and
    /// for a constant that is left out its default. Called by the thread that runs the program, by several at a time
    /// where several do. What it throws ends the run.
    public typealias Run = @Sendable (_ outputs: [Elements], _ inputs: [Elements]) throws -> Void

    /// How an output's type follows from the arguments.
    public struct Output: Sendable {
        public enum ElementType: Sendable, Hashable {
            case fixed(DataType)
            /// That of a parameter.
            case like(String)
        }
        public enum Shape: Sendable, Hashable {
            case fixed([Int])
            /// That of a parameter.
            case like(String)
            /// The one that all arguments broadcast to, constants excepted.
            case broadcast
            /// Sizes that follow from the arguments' shapes.
            case computed([Extent])
        }
        public let dtype: ElementType
        public let shape: Shape

        public init(_ dtype: ElementType, _ shape: Shape) {
            self.dtype = dtype
            self.shape = shape
        }
    }

    /// The callback on the CPU; nil where the op runs elsewhere only.
    public let run: Run?
    /// The kernel for devices with Metal.
    public let metal: MetalKernel?
    /// Whether `run` is the Metal kernel, compiled for the CPU.
    public let runsKernel: Bool
    /// The same inputs always give the same outputs, so that the result for constants may be kept.
    public let isPure: Bool
    /// A random number that identifies this registration, in this process and among all others.
    public let identity = UInt64.random(in: .min ... .max)

    public init(run: Run?, metal: MetalKernel? = nil, isPure: Bool = false, runsKernel: Bool = false) {
        self.runsKernel = runsKernel
        self.run = run
        self.metal = metal
        self.isPure = isPure
    }
}

extension Op {
    /// A custom op whose output types follow by rules.
    public init(
        _ name: String, _ words: String, _ parameters: [Parameter], outputs: [CustomOp.Output], custom: CustomOp
    ) throws {
        try custom.metal?.check(parameters, outputs: outputs.count)
        for output in outputs {
            for parameter in output.parameters where !parameters.contains(where: { $0.name == parameter }) {
                throw Failure(
                    .invalidArgument, "An output of '\(name)' is like '\(parameter)', which is no parameter of it.")
            }
        }
        self.init(name, .custom, words, parameters, custom: custom) { call in try outputs.map { try $0.type(in: call) }
        }
    }

    /// Whether one result stands for all: random numbers and custom ops that are not pure differ from call to call.
    public var isRepeatable: Bool { family != .random && custom?.isPure ?? true }

    /// Refuses a row that programs could not name or call.
    fileprivate func checkRow() throws {
        func wrong(_ what: String) -> Failure { Failure(.invalidArgument, "The custom op '\(name)' \(what).") }
        func isPlain(_ name: String) -> Bool { !name.isEmpty && Printer.name(name) == name }
        guard isPlain(name), name != "const" else {
            throw wrong("needs another name: letters, digits and underscores, no digit first, and not 'const'")
        }
        if let odd = parameters.first(where: { !isPlain($0.name) || $0.name == "name" }) {
            throw wrong("has the parameter '\(odd.name)', which is no name for one")
        }
        guard Set(parameters.map(\.name)).count == parameters.count else { throw wrong("names a parameter twice") }
        guard parameters.filter(\.isList).count <= 1 else { throw wrong("takes two lists; it may take one") }
        for parameter in parameters {
            guard !parameter.dtypes.isEmpty else { throw wrong("has no dtype for '\(parameter.name)'") }
            if let value = parameter.defaultValue, !parameter.dtypes.contains(value.dtype) {
                throw wrong(
                    "has a \(value.dtype.name) as the default of '\(parameter.name)', which is none of its dtypes")
            }
            guard !parameter.isOptional || parameter.defaultValue != nil else {
                throw wrong("may not leave out '\(parameter.name)' without a default")
            }
        }
    }
}

extension CustomOp.Output {
    fileprivate var parameters: [String] {
        var names: [String] = []
        if case .like(let name) = dtype { names.append(name) }
        switch shape {
        case .like(let name): names.append(name)
        case .computed(let extents): names += extents.flatMap(\.names)
        case .fixed, .broadcast: break
        }
        return names
    }

    fileprivate func type(in call: Call) throws -> TensorType {
        func like(_ name: String) throws -> TensorType {
            guard let type = try call.types(name).first ?? call.constant(name)?.type else {
                throw Failure(.invalidArgument, "The parameter '\(name)' is empty, and an output is to be like it.")
            }
            return type
        }
        let element =
            switch dtype {
            case .fixed(let dtype): dtype
            case .like(let name): try like(name).dtype
            }
        switch shape {
        case .fixed(let sizes): return TensorType(element, sizes)
        case .like(let name): return TensorType(element, try like(name).shape)
        case .computed(let extents):
            let scope = try Extent.Scope(call)
            return TensorType(element, try extents.map { try $0.size(in: scope) })
        case .broadcast:
            let tensors = call.op.parameters.filter { !$0.isConstant }
            let shapes = try tensors.flatMap { try call.types($0.name) }.map(\.shape)
            return TensorType(element, try shapes.reduce([]) { try broadcast($0, $1) })
        }
    }
}

// MARK: The table

extension OpTable {
    private static let registry = Registry()

    /// Custom ops by name. Names of the table are never looked up here, and while there are no custom ops a look-up
    /// takes no lock.
    private final class Registry: Sendable {
        let count = Atomic<Int>(0)
        let changes = Atomic<Int>(0)
        let rows = Mutex<[String: Op]>([:])

        /// Puts a row under a name, or takes the one there away; answers what was there.
        func set(_ name: String, _ op: Op?) -> Op? {
            rows.withLock { rows in
                let old = rows[name]
                rows[name] = op
                count.store(rows.count, ordering: .releasing)
                changes.wrappingAdd(1, ordering: .releasing)
                return old
            }
        }
    }

    static func customOp(_ name: String) -> Op? {
        registry.count.load(ordering: .acquiring) == 0 ? nil : registry.rows.withLock { $0[name] }
    }

    /// All custom ops there are now, by name.
    public static var customRows: [Op] {
        registry.rows.withLock { Array($0.values) }.sorted { $0.name < $1.name }
    }

    /// How often custom ops were added, replaced or removed: caches of what names stand for look here.
    public static var generation: Int { registry.changes.load(ordering: .acquiring) }

    /// Adds a custom op. One of the same name is replaced: what was compiled before keeps the old one.
    public static func register(_ op: Op) throws {
        guard op.custom != nil else { throw Failure(.invalidArgument, "'\(op.name)' is no custom op.") }
        try op.checkRow()
        guard !rows.contains(where: { $0.name == op.name }) else {
            throw Failure(
                .invalidArgument, "The op '\(op.name)' is part of the language; a custom op needs another name.")
        }
        // The old row ends outside the lock: its callback's owner may call back.
        withExtendedLifetime(registry.set(op.name, op)) {}
    }

    /// Removes a custom op from the language; what was compiled keeps it.
    public static func unregister(_ name: String) throws {
        guard registry.set(name, nil) != nil else {
            throw Failure(.invalidArgument, "There is no custom op '\(name)'.")
        }
    }

    /// The custom ops that a function uses, as they are now.
    public static func customOps(in function: Function) -> [String: Op] {
        guard registry.count.load(ordering: .acquiring) > 0 else { return [:] }
        let names = Set(function.allOperations.map(\.op))
        return registry.rows.withLock { rows in rows.filter { names.contains($0.key) } }
    }
}
