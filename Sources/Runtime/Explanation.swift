import MIL

/// What is known, operation by operation, of where a function runs and why, and what the rule books hold against Apple's
/// processors. `device`, `known` and times are facts of this machine; `expected` and findings are a reading of the books.
public struct ModelExplanation: Sendable {
    public let function: String
    /// The device of the plan; empty where none takes the function.
    public let device: String
    public let reason: String
    /// How many runs the times come from.
    public let runs: Int
    /// Median time of a whole run; nil without runs.
    public let nanoseconds: UInt64?
    public let operations: [Explained]
    /// What the books say of the program as a whole.
    public let findings: [Finding]
    /// Stretches of operations that would run on one processor, by the books, in the program's order.
    public let segments: [Segment]

    /// One operation of the function as the file has it.
    public struct Explained: Sendable {
        public let op: String
        /// Its first result.
        public let output: String
        public let type: String
        /// Floating-point operations of products and convolutions, else elements.
        public let work: Double
        /// The index of the plan's step that covers it; nil where none does.
        public var step: Int?
        /// The processor inside the plan's device, empty where the device is one.
        public var processor = ""
        /// How its place is known; nil where nothing is left to run.
        public var known: Plan.Knowledge?
        public var kernel = ""
        public var reason = ""
        /// Median of the runs; nil where none was timed or another operation's step covers it.
        public var nanoseconds: UInt64?
        /// Where it would run by the books: the Neural Engine, else the GPU, else the CPU. Empty where its result is known
        /// before the run.
        public let expected: String
        public let findings: [Finding]
    }

    /// A rule that is broken, where and how.
    public struct Finding: Sendable {
        public let processor: String
        public let rule: Rule
        public let breach: Rule.Breach
    }

    /// Operations in a row on one processor.
    public struct Segment: Sendable, Hashable {
        public let processor: String
        public var operations: Int
        public var work: Double

        public init(processor: String, operations: Int, work: Double) {
            (self.processor, self.operations, self.work) = (processor, operations, work)
        }
    }

    /// A rule with all that breaks it.
    public struct Group: Sendable {
        public let processor: String
        public let rule: Rule
        /// Indices of `operations`; empty for a rule about the program.
        public let operations: [Int]
        /// The part of the program's work that they do, 0 to 1.
        public let share: Double
        /// The rewrite of the one among them that does most work.
        public let rewrite: String
    }

    /// Explains a function whose shapes are known. `original` is the same function as the file has it: values of known shape
    /// whose shape is open there come from flexible inputs. `times` are nanoseconds by step,
    /// `whole` those of a run.
    public init(
        of function: Function, original: Function? = nil, plan: Plan?, reason: String = "", times: [UInt64?] = [],
        runs: Int = 0, whole nanoseconds: UInt64? = nil
    ) throws {
        self.function = function.name
        device = plan?.device ?? ""
        self.reason = plan?.reason ?? reason
        self.runs = runs
        self.nanoseconds = nanoseconds
        let open = original.map(ModelExplanation.openValues) ?? []
        let all = function.allOperations
        var explained = try all.map { try Explained($0, in: function, open) }
        if let plan { Placement(all, function, plan, times).fill(&explained) }
        operations = explained
        let work = explained.reduce(0) { $0 + $1.work }
        findings = RuleBook.all.flatMap { book in
            book.rules.compactMap { rule in
                rule.breach(work: work).map { Finding(processor: book.processor, rule: rule, breach: $0) }
            }
        }
        segments = explained.reduce(into: []) { segments, operation in
            guard !operation.expected.isEmpty else { return }
            if let last = segments.indices.last, segments[last].processor == operation.expected {
                segments[last].operations += 1
                segments[last].work += operation.work
            } else {
                segments.append(Segment(processor: operation.expected, operations: 1, work: operation.work))
            }
        }
    }

    /// Names of values whose shape is open.
    private static func openValues(_ function: Function) -> Set<String> {
        Set(function.values.lazy.filter { $0.type.tensor?.isFixed == false }.map(\.name))
    }

    /// All the work that is judged.
    public var work: Double { operations.reduce(0) { $0 + $1.work } }

    /// The part of the work that would run on a processor by the books.
    public func share(of processor: String) -> Double {
        let whole = work
        guard whole > 0 else { return 0 }
        return operations.reduce(0) { $0 + ($1.expected == processor ? $1.work : 0) } / whole
    }

    /// What breaks each rule: refusals first, then by the work that they touch.
    public var groups: [Group] {
        let whole = max(work, 1)
        var members: [String: [Int]] = [:]
        for (index, operation) in operations.enumerated() {
            for finding in operation.findings { members[finding.rule.id, default: []].append(index) }
        }
        var groups = findings.map {
            Group(processor: $0.processor, rule: $0.rule, operations: [], share: 1, rewrite: $0.breach.rewrite)
        }
        for book in RuleBook.all {
            for rule in book.rules {
                guard let indices = members[rule.id] else { continue }
                let largest = indices.reduce(indices[0]) { operations[$1].work > operations[$0].work ? $1 : $0 }
                let rewrite = operations[largest].findings.first { $0.rule.id == rule.id }?.breach.rewrite ?? ""
                let share = indices.reduce(0) { $0 + operations[$1].work } / whole
                groups.append(
                    Group(
                        processor: book.processor, rule: rule, operations: indices, share: min(share, 1),
                        rewrite: rewrite))
            }
        }
        return groups.enumerated().sorted { a, b in
            let (first, second) = (a.element, b.element)
            if first.rule.severity != second.rule.severity { return first.rule.severity > second.rule.severity }
            return (second.share, a.offset) < (first.share, b.offset)
        }.map(\.element)
    }
}

extension ModelExplanation.Explained {
    fileprivate init(_ operation: Operation, in function: Function, _ open: Set<String>) throws {
        let call = try Call(operation, in: function)
        let values = operation.outputs.map { function[$0] }
        // A repeatable operation on constants is computed when the model is loaded.
        let isKnown =
            call.op.isRepeatable && operation.blocks.isEmpty
            && operation.inputs.allSatisfy { function[$0].constant != nil }
        op = operation.op
        output = values.first?.name ?? ""
        type = values.first?.type.description ?? ""
        work = isKnown ? 0 : (try? OperationProfile(call).work) ?? 0
        guard !isKnown else {
            (expected, findings, reason) = ("", [], "known before the run")
            return
        }
        let isFlexible = values.contains { open.contains($0.name) && $0.type.tensor?.isFixed == true }
        let subject = Subject(call, isFlexible: isFlexible)
        findings = RuleBook.all.flatMap { book in
            book.rules.compactMap { rule in
                rule.breach(subject).map { .init(processor: book.processor, rule: rule, breach: $0) }
            }
        }
        let refusing = Set(findings.filter { $0.rule.severity == .refused }.map(\.processor))
        expected = RuleBook.all.first { !refusing.contains($0.processor) }?.processor ?? "CPU"
    }
}

/// Which step of a plan covers which operation: the one that makes its result, else a neighbour's that names its op, since
/// fused operations have one step together.
private struct Placement {
    private let operations: [Operation]
    private let function: Function
    private let plan: Plan
    private let times: [UInt64?]
    private let makers: [String: [Int]]

    init(_ operations: [Operation], _ function: Function, _ plan: Plan, _ times: [UInt64?]) {
        (self.operations, self.function, self.plan, self.times) = (operations, function, plan, times)
        makers = Dictionary(grouping: plan.steps.indices) { plan.steps[$0].output }
    }

    func fill(_ explained: inout [ModelExplanation.Explained]) {
        var steps = operations.map { operation in
            operation.outputs.lazy.compactMap { makers[function[$0].name]?.last }.first
        }
        let own = steps.map { $0 != nil }
        absorb(into: &steps)
        for (index, step) in steps.enumerated() where explained[index].reason.isEmpty {
            guard let step else {
                explained[index].reason = "another view of the same memory, or part of a neighbour"
                continue
            }
            let found = plan.steps[step]
            explained[index].step = step
            explained[index].processor = found.processor
            explained[index].known = found.known
            explained[index].kernel = found.kernel
            explained[index].reason = found.reason
            let time = time(of: found.output)
            // A time shows that an operation ran. Where Core ML ran it cannot be observed, so that stays planned.
            if time != nil, found.known == .chosen { explained[index].known = .ran }
            if own[index] { explained[index].nanoseconds = time }
        }
    }

    /// Takes operations without a result of their own into the step of what reads them, else of what they read.
    private func absorb(into steps: inout [Int?]) {
        var makerOf: [ValueID: Int] = [:]
        var readersOf: [ValueID: [Int]] = [:]
        for (index, operation) in operations.enumerated() {
            for id in operation.outputs { makerOf[id] = index }
            for id in operation.inputs { readersOf[id, default: []].append(index) }
        }
        func take(_ index: Int, _ neighbours: [Int]) {
            guard steps[index] == nil else { return }
            steps[index] = neighbours.compactMap { steps[$0] }.first {
                plan.steps[$0].isGraph || plan.steps[$0].ops.contains(operations[index].op)
            }
        }
        for index in operations.indices.reversed() {
            take(index, operations[index].outputs.flatMap { readersOf[$0] ?? [] })
        }
        for index in operations.indices { take(index, operations[index].inputs.compactMap { makerOf[$0] }) }
    }

    /// The time of all steps that make one result: what another layout takes belongs to the kernel that wants it.
    private func time(of output: String) -> UInt64? {
        let found = (makers[output] ?? []).compactMap { times.indices.contains($0) ? times[$0] : nil }
        return found.isEmpty ? nil : found.reduce(0, &+)
    }
}
