import MIL

/// A place where programs run. Engines are columns: each implements this and nothing else of the runtime knows them.
public protocol Device: Sendable {
    /// Short and stable: `cpu`, `cpu:portable`, `coreml:ane`.
    var name: String { get }
    /// One line for people: what the hardware is.
    var summary: String { get }
    var availability: Availability { get }
    /// What sort of place it is, by which the selector's table goes.
    var kind: DeviceKind { get }

    /// Bytes that programs may take there, as far as the system tells.
    var memoryLimit: Int? { get }
    /// Processors or cores that it computes with, as far as the system tells.
    var computeUnits: Int? { get }
    /// Whether inputs are used where they lie; else they are copied there and back.
    var isHostMemory: Bool { get }
    /// Whether its numeric mode changes results: such a device is taken only by name.
    var changesResults: Bool { get }
    /// Whether it compiles functions with states as they are. Others are given states as further inputs and outputs.
    var keepsStates: Bool { get }
    /// Whether intermediate integers keep the 16 bits that a program declares. Other devices are given the function with int32
    /// in their place: see `Function.withWideIntegers`.
    var keepsDeclaredIntegers: Bool { get }

    /// The same device with at most so many threads of this process for each run, whatever the process's number.
    func limited(toThreads count: Int) -> any Device

    /// How this device would run one operation, or why it would not.
    func assess(_ call: Call) -> Verdict

    /// Why this device would not run what a profile describes; nil where it would.
    func refusal(of profile: OperationProfile) -> String?

    /// Prepares a function whose input shapes are all known. Everything that can be decided once is decided here.
    func compile(_ function: Function) throws -> any Executable

    /// The same, keeping on disk what later processes need not make again; most devices have nothing to keep.
    func compile(_ function: Function, keeping disk: DiskCache?) throws -> any Executable

    /// Makes a function of a model file ready as the file has it; nil where the device does not run such files itself. What
    /// it answers takes and gives what `interface` says, in its order, for every shape that the interface admits.
    func open(_ source: ModelSource, _ function: Function, _ interface: Interface, keeping disk: DiskCache?) throws
        -> (any Executable)?
}

extension Device {
    public func compile(_ function: Function, keeping disk: DiskCache?) throws -> any Executable {
        try compile(function)
    }

    public func open(
        _ source: ModelSource, _ function: Function, _ interface: Interface, keeping disk: DiskCache?
    ) throws -> (any Executable)? { nil }
}

extension Device {
    public var memoryLimit: Int? { nil }
    public var computeUnits: Int? { nil }
    public var isHostMemory: Bool { kind == .cpu }
    public var changesResults: Bool { false }
    public var keepsStates: Bool { false }
    public var keepsDeclaredIntegers: Bool { false }

    public func limited(toThreads count: Int) -> any Device { self }

    /// Why this device would not run what a profile describes; nil where it would.
    public func refusal(of profile: OperationProfile) -> String? {
        for call in profile.calls {
            if case .refused(let reason) = assess(call) { return reason }
        }
        return nil
    }
}

/// The sorts of devices.
public enum DeviceKind: String, Sendable, Hashable, CaseIterable {
    case cpu, metal, coreml

    /// The name that people know it by.
    public var title: String {
        switch self {
        case .cpu: "CPU"
        case .metal: "Metal"
        case .coreml: "Core ML"
        }
    }
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
    /// Whether a run takes a few microseconds only, without waiting or callbacks: a caller may then keep a lock.
    var isBrief: Bool { get }
    var inputs: [Port] { get }
    var outputs: [Port] { get }
    var plan: Plan { get }
    /// The plan's device and reason, for those who want no more than that: a whole plan may take long to make.
    var place: (device: String, reason: String) { get }
    /// Bytes of memory that it holds, by estimate: what caches go by.
    var footprint: Int { get }

    /// Runs the function on inputs in the order of `inputs`; each must have the port's type exactly.
    /// `observing` is called after each step with what it did.
    func run(_ inputs: [Tensor], observing observer: Observer?) throws -> [Tensor]

    /// Runs the function on memory that the caller has checked: elements of exactly the ports' types, one address an
    /// input, one an output. This is what a small eager call takes, since nothing is allocated.
    func run(
        from inputs: UnsafePointer<UnsafeMutableRawPointer>, into outputs: UnsafePointer<UnsafeMutableRawPointer>
    ) throws

    /// The states that it keeps itself, which are neither among `inputs` nor among `outputs`; nearly always none.
    var states: [Port] { get }

    /// New states, all zeros; nil where it keeps none.
    func makeState() throws -> (any ExecutableState)?

    /// Runs the function with states that `makeState` gave, and changes them. No two runs may use them at a time.
    func run(_ inputs: [Tensor], state: any ExecutableState, observing observer: Observer?) throws -> [Tensor]

    /// Runs the function on each of several lists of inputs; the results are in their order.
    func run(batch: [[Tensor]]) throws -> [[Tensor]]

    /// Runs the function without blocking the caller's thread; the inputs are held until it is over.
    func runAsync(_ inputs: [Tensor], state: (any ExecutableState)?) async throws -> [Tensor]
}

/// What an executable keeps from run to run. It belongs to one run at a time; callers that share it ensure that.
public protocol ExecutableState: AnyObject, Sendable {
    /// A copy of what one state holds now.
    func value(of name: String) throws -> Tensor

    /// Replaces what one state holds, by a tensor of exactly its type.
    func set(_ value: Tensor, for name: String) throws
}

extension Executable {
    public var states: [Port] { [] }

    public func makeState() throws -> (any ExecutableState)? { nil }

    public func run(_ inputs: [Tensor], state: any ExecutableState, observing observer: Observer?) throws -> [Tensor] {
        throw Failure(.invalidArgument, "A state is given to a function on '\(plan.device)' that keeps none.")
    }

    public func run(batch: [[Tensor]]) throws -> [[Tensor]] { try batch.map { try run($0, observing: nil) } }

    public func runAsync(_ inputs: [Tensor], state: (any ExecutableState)? = nil) async throws -> [Tensor] {
        try await Workers.shared.run {
            if let state { return try self.run(inputs, state: state, observing: nil) }
            return try self.run(inputs, observing: nil)
        }
    }
}

extension Executable {
    public var isBrief: Bool { false }
    public var footprint: Int { Compiled.bytes(of: plan) }
    public var place: (device: String, reason: String) {
        let plan = plan
        return (plan.device, plan.reason)
    }

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
