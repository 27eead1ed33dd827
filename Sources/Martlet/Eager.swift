import Synchronization

// Eager calls: every operation on tensors is one op of the table through the one call below.

/// Runs one op of the table at once and gives its only result.
///
///     let y = try eager("leaky_relu", ["x": x], ["alpha": 0.1])
///
/// The first call for some element types and shapes compiles the op; later ones find it ready. Operands that must be of
/// one element type are brought to the one that both promote to.
///
/// - Parameters:
///   - op: the name of a row of `OpTable`, or of a custom op.
///   - inputs: tensors by parameter; a name that repeats stands for a list, and nil is left out.
///   - constants: what is known before the run, such as axes, by parameter; nil is left out.
///   - pin: the device to run on, from `pin(to:)`; nil leaves it to the backend's selector.
///   - backend: who compiles, keeps and counts.
/// - Throws: a `Failure`: no such op or parameter, element types or shapes that do not fit, or no device that runs it.
public func eager(
    _ op: String, _ inputs: KeyValuePairs<String, Tensor?>, _ constants: KeyValuePairs<String, Constant?> = [:],
    pin: Pin? = nil, on backend: Backend = .shared
) throws -> Tensor {
    let results = try eagerResults(op, inputs, constants, pin: pin, on: backend)
    guard let result = results.first, results.count == 1 else {
        throw Failure(.invalidArgument, "op '\(op)' gives \(results.count) results; take eagerResults.")
    }
    return result
}

/// The same for ops with any number of results, such as `split`.
public func eagerResults(
    _ op: String, _ inputs: KeyValuePairs<String, Tensor?>, _ constants: KeyValuePairs<String, Constant?> = [:],
    pin: Pin? = nil, on backend: Backend = .shared
) throws -> [Tensor] {
    let given = inputs.compactMap { name, tensor in tensor.map { (name, $0) } }
    let bound = constants.compactMap { name, value in value.map { Bound(name: name, value: $0) } }
    return try call(op, given, bound, pin, backend)
}

/// A list of tensors for one parameter.
func eager(_ op: String, _ name: String, _ list: [Tensor], _ constants: KeyValuePairs<String, Constant>) throws
    -> [Tensor]
{
    try call(op, list.map { (name, $0) }, constants.map { Bound(name: $0, value: $1) }, nil, .shared)
}

private func call(
    _ op: String, _ inputs: [(name: String, tensor: Tensor)], _ constants: [Bound], _ pin: Pin?, _ backend: Backend
) throws -> [Tensor] {
    let key = EagerOps.Key(op: op, inputs: inputs.map(\.name), constants: constants)
    let op = try backend === EagerOps.shared.backend ? EagerOps.shared.op(key) : key.op(on: backend)
    return try op.call(inputs.map(\.tensor), pin: pin)
}

/// A value that is known before the run: a number, a boolean, a text, a list of integers, or any tensor. Small ones
/// are told apart by their content, large ones by their address.
public struct Constant: Sendable, Hashable {
    public let tensor: Tensor

    public init(_ tensor: Tensor) { self.tensor = tensor }
    public init(_ number: Int) { self.init([number], shape: []) }
    public init(_ number: Double) { tensor = Tensor(Float(number)) }
    public init(_ truth: Bool) { tensor = Tensor(truth) }
    public init(_ text: String) { tensor = Tensor(text) }
    public init(_ numbers: [Int]) { self.init(numbers, shape: [numbers.count]) }

    /// 32 bits where they suffice, as Core ML counts.
    private init(_ numbers: [Int], shape: [Int]) {
        let short = numbers.compactMap { Int32(exactly: $0) }
        let isShort = short.count == numbers.count
        tensor = isShort ? Tensor(short, shape: shape) : Tensor(numbers.map { Int64($0) }, shape: shape)
    }

    /// In an element type that the parameter takes: an integer may be given for a floating-point number.
    fileprivate func tensor(for parameter: Op.Parameter?) throws -> Tensor {
        guard let parameter, tensor.dtype.isInteger, !parameter.dtypes.contains(tensor.dtype),
            parameter.dtypes.contains(.float32)
        else { return tensor }
        return try tensor.converted(to: .float32)
    }

    private var isSmall: Bool { tensor.type.byteCount <= 256 }

    public static func == (a: Constant, b: Constant) -> Bool {
        let (a, b) = (a.tensor, b.tensor)
        guard a.type == b.type, a.strings == b.strings else { return false }
        if a.storage === b.storage, a.byteOffset == b.byteOffset { return true }
        guard Constant(a).isSmall else { return false }
        return withExtendedLifetime((a, b)) { a.bytes.elementsEqual(b.bytes) }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(tensor.type)
        hasher.combine(tensor.strings)
        if isSmall { withExtendedLifetime(tensor) { hasher.combine(bytes: tensor.bytes) } }
    }
}

extension Constant: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByStringLiteral, ExpressibleByArrayLiteral
{
    public init(integerLiteral number: Int) { self.init(number) }
    public init(floatLiteral number: Double) { self.init(number) }
    public init(booleanLiteral truth: Bool) { self.init(truth) }
    public init(stringLiteral text: String) { self.init(text) }
    public init(arrayLiteral numbers: Int...) { self.init(numbers) }
}

/// A constant with its parameter's name.
private struct Bound: Sendable, Hashable {
    let name: String
    let value: Constant
}

/// The process's eager ops: the thousand called last, each with what was compiled for it.
private final class EagerOps: Sendable {
    static let shared = EagerOps()
    private static let limit = 1024

    let backend = Backend.shared
    private let state = Mutex(State())

    private struct State {
        var entries: [Key: (op: EagerOp, lastUse: UInt64)] = [:]
        var clock: UInt64 = 0

        mutating func find(_ key: Key) -> EagerOp? {
            clock += 1
            entries[key]?.lastUse = clock
            return entries[key]?.op
        }

        mutating func keep(_ op: EagerOp, for key: Key) {
            if entries.count >= EagerOps.limit, let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) {
                entries[oldest.key] = nil
            }
            entries[key] = (op, clock)
        }
    }

    struct Key: Sendable, Hashable {
        let op: String
        let inputs: [String]
        let constants: [Bound]

        func op(on backend: Backend) throws -> EagerOp {
            let row = OpTable[op]
            let values = try constants.map { ($0.name, try $0.value.tensor(for: row?.parameter($0.name))) }
            return try EagerOp(op, inputs: inputs, constants: values, backend: backend)
        }
    }

    /// The op of a key. A custom op is made anew each time, since its name may stand for another one by then.
    func op(_ key: Key) throws -> EagerOp {
        if let known = state.withLock({ $0.find(key) }) { return known }
        let made = try key.op(on: backend)
        if made.op.custom == nil { state.withLock { $0.keep(made, for: key) } }
        return made
    }
}
