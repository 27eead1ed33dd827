import MIL

/// Something that a processor refuses or does slowly, as public sources have it. It is a reading of those sources, not a
/// measurement: what a device really does, only its plan or a run there tells.
public struct Rule: Sendable {
    /// Stable, such as `ane.dtype.fp16-only`.
    public let id: String
    public let severity: Severity
    /// One sentence: what is refused or slow, and why.
    public let words: String
    public let source: Source
    private let judge: Judge

    public enum Severity: String, Sendable, Hashable, CaseIterable, Comparable {
        /// Runs there, but something is worth knowing.
        case note
        /// Runs there slowly, or only on newer devices.
        case slow
        /// Does not run there.
        case refused

        public static func < (a: Severity, b: Severity) -> Bool { a.order < b.order }
        private var order: Int { Severity.allCases.firstIndex(of: self) ?? 0 }
    }

    /// How well a rule is known.
    public enum Confidence: String, Sendable, Hashable, CaseIterable {
        case documented = "vendor documented"
        case reported = "third-party reported"
        case inferred
    }

    /// Where a rule comes from: a page, a repository with a path, or a thread.
    public struct Source: Sendable, Hashable {
        public let title: String
        public let url: String
        public let confidence: Confidence

        init(_ title: String, _ url: String, _ confidence: Confidence) {
            (self.title, self.url, self.confidence) = (title, url, confidence)
        }
    }

    /// What in an operation, or in a whole program, breaks a rule, and the cheapest way round it.
    public struct Breach: Sendable, Hashable {
        public let what: String
        public let rewrite: String

        init(_ what: String, _ rewrite: String) { (self.what, self.rewrite) = (what, rewrite) }
    }

    private enum Judge: Sendable {
        case operation(@Sendable (Subject) -> Breach?)
        case program(@Sendable (Double) -> Breach?)
    }

    /// A rule about operations.
    init(
        _ id: String, _ severity: Severity, _ words: String, _ source: Source,
        _ judge: @escaping @Sendable (Subject) -> Breach?
    ) {
        self.init(id, severity, words, source, .operation(judge))
    }

    /// A rule about the work of a whole program.
    init(
        ofProgram id: String, _ severity: Severity, _ words: String, _ source: Source,
        _ judge: @escaping @Sendable (Double) -> Breach?
    ) {
        self.init(id, severity, words, source, .program(judge))
    }

    /// A rule about some ops, whatever they are called with: the rewrite of each.
    init(
        _ id: String, _ severity: Severity, _ words: String, _ source: Source, ops: [String: String]
    ) {
        self.init(id, severity, words, source) { subject in
            ops[subject.op.name].map { Breach("\(subject.op.name) \(subject.shapes)", $0) }
        }
    }

    private init(_ id: String, _ severity: Severity, _ words: String, _ source: Source, _ judge: Judge) {
        (self.id, self.severity, self.words, self.source, self.judge) = (id, severity, words, source, judge)
    }

    func breach(_ subject: Subject) -> Breach? {
        if case .operation(let judge) = judge { judge(subject) } else { nil }
    }

    func breach(work: Double) -> Breach? {
        if case .program(let judge) = judge { judge(work) } else { nil }
    }
}

/// The rules of one processor.
public struct RuleBook: Sendable {
    /// The processor's name, as plans give it.
    public let processor: String
    /// The first word of the rules' ids.
    public let prefix: String
    public let rules: [Rule]

    public static let all = [neuralEngine, gpu]
}

/// An operation as rules see it.
struct Subject: Sendable {
    let call: Call
    /// Operands that are computed or given, constants left out.
    let inputs: [TensorType]
    let outputs: [TensorType]
    /// Whether sizes of its results follow from flexible shapes of the model's inputs.
    let isFlexible: Bool

    init(_ call: Call, isFlexible: Bool = false) {
        self.call = call
        self.isFlexible = isFlexible
        let function = call.function
        inputs = call.operation.inputs.filter { function[$0].constant == nil }.compactMap { function[$0].type.tensor }
        outputs = call.operation.outputs.compactMap { function[$0].type.tensor }
    }

    var op: Op { call.op }
    var tensors: [TensorType] { inputs + outputs }
    /// The shapes of the operands, for people.
    var shapes: String { (inputs.isEmpty ? outputs : inputs).map { "\($0.shape)" }.joined(separator: " × ") }

    /// The type of a tensor parameter.
    func type(_ name: String) -> TensorType? { try? call.type(name) }
    /// The integers of a constant parameter; none if it is absent or not known.
    func ints(_ name: String) -> [Int] { (try? call.ints(name)) ?? [] }
    func int(_ name: String) -> Int? { try? call.int(name) }
    func text(_ name: String) -> String? { try? call.text(name) }
    func isConstant(_ name: String) -> Bool { call.constant(name) != nil }

    /// The sizes of a convolution's window; nil for other operations.
    var kernel: [Int]? {
        guard op.name == "conv" || op.name == "conv_transpose", let weight = type("weight"), weight.rank > 2 else {
            return nil
        }
        return Array(weight.shape.dropFirst(2))
    }
}

/// A size in equal parts of at most `limit`: `2 of 10000`.
func parts(of size: Int, limit: Int) -> String {
    let count = (size - 1) / limit + 1
    let part = (size - 1) / count + 1
    return count * part == size ? "\(count) of \(part)" : "\(count) of at most \(part)"
}

/// A shape with its leading axes made one, so that `rank` are left.
func merged(_ shape: [Int], toRank rank: Int) -> [Int] {
    guard shape.count > rank else { return shape }
    return [saturatingProduct(Array(shape.dropLast(rank - 1)))] + shape.suffix(rank - 1)
}
