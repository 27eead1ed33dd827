import MIL

/// A place where programs run. Engines are columns: each implements this and nothing else of the runtime knows them.
public protocol Device: Sendable {
    /// Short and stable: `cpu`, `cpu:portable`, `coreml:ane`.
    var name: String { get }
    /// One line for people: what the hardware is.
    var summary: String { get }
    var availability: Availability { get }

    /// How this device would run one operation, or why it would not.
    func assess(_ call: Call) -> Verdict

    /// Prepares a function whose input shapes are all known. Everything that can be decided once is decided here.
    func compile(_ function: Function) throws -> any Executable
}

/// Whether a device can be used here and, where not, why.
public enum Availability: Sendable, Hashable {
    case available
    case unavailable(reason: String)

    public var isAvailable: Bool { self == .available }
}

/// What a device says of one operation.
public enum Verdict: Sendable, Hashable {
    /// It has a kernel of its own.
    case native
    /// It runs the simpler operations of the row's expansion.
    case expands
    /// It does not run it.
    case refused(reason: String)
}

/// A compiled function. Safe to run from several threads at a time.
public protocol Executable: Sendable {
    var inputs: [Port] { get }
    var outputs: [Port] { get }
    var plan: Plan { get }

    /// Runs the function on inputs in the order of `inputs`; each must have the port's type exactly.
    /// `observing` is called after each step with what it did.
    func run(_ inputs: [Tensor], observing observer: Observer?) throws -> [Tensor]

    /// Runs the function on memory that the caller has checked: elements of exactly the ports' types, one address an
    /// input, one an output. This is what a small eager call takes, since nothing is allocated.
    func run(
        from inputs: UnsafePointer<UnsafeMutableRawPointer>, into outputs: UnsafePointer<UnsafeMutableRawPointer>
    ) throws
}

extension Executable {
    public func run(
        from inputs: UnsafePointer<UnsafeMutableRawPointer>, into outputs: UnsafePointer<UnsafeMutableRawPointer>
    ) throws {
        let tensors = self.inputs.enumerated().map { index, port in
            Tensor(port.type, storage: Storage(wrapping: inputs[index], byteCount: port.type.byteCount) {})
        }
        for (index, result) in try run(tensors, observing: nil).enumerated() {
            outputs[index].copyMemory(from: result.pointer, byteCount: result.type.byteCount)
        }
    }

    public func run(_ inputs: [Tensor]) throws -> [Tensor] { try run(inputs, observing: nil) }
}

/// A named input or output of an executable.
public struct Port: Sendable, Hashable {
    public let name: String
    public let type: TensorType

    public init(name: String, type: TensorType) {
        self.name = name
        self.type = type
    }
}

/// Called after each step of a run: the step's index in the plan, its time, and its first result.
public typealias Observer = (_ step: Int, _ nanoseconds: UInt64, _ result: () -> Tensor?) -> Void
