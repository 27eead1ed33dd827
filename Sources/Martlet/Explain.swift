import Passes

extension Model {
    /// Explains where each operation of a function runs, how that is known, and what the rule books hold against Apple's
    /// Neural Engine and GPU. Without a device name the selector chooses, and where no device takes the function, it is
    /// judged by the books alone. `runs` > 0 also runs it, on random values, and gives median times. `goesOn` is asked
    /// before each run, with the number of those that are done; if it answers false, these are all.
    public func explain(
        device name: String? = nil, function: String? = nil, runs: Int = 0,
        goesOn: (_ done: Int) -> Bool = { _ in true }
    ) throws -> ModelExplanation {
        guard runs >= 0 && runs <= 1_000_000 else {
            throw Failure(.outOfRange, "\(runs) runs are asked for; it must be from 0 to 1000000.")
        }
        let original = try program.function(function)
        let judged = (try? usual(original)) ?? (function: original, isFlexible: false)
        let flexible = judged.isFlexible ? original : nil
        let predictor: Predictor
        do { predictor = try Predictor(self, device: name, function: function) } catch let failure as Failure {
            guard name == nil, runs == 0 else { throw failure }
            return try ModelExplanation(
                of: judged.function, original: flexible, plan: nil, reason: failure.message)
        }
        let plan = try predictor.plan
        let times = try runs > 0 ? predictor.times(of: plan.steps.count, runs: runs, goesOn: goesOn) : RunTimes()
        return try ModelExplanation(
            of: judged.function, original: flexible, plan: plan, times: times.steps, runs: times.runs,
            whole: times.whole)
    }

    /// A function for its usual shapes, and whether some of them may have any size within a range.
    private func usual(_ function: Function) throws -> (function: Function, isFlexible: Bool) {
        let entries = try InputFeature.all(of: interface(function.name), in: function)
        let isFlexible = entries.contains { if case .ranges = $0.shapes { true } else { false } }
        return (try ready(function, for: entries.types(entries.map(\.usual)), evaluateOnCPU), isFlexible)
    }
}

/// Median nanoseconds of each step and of a whole run, over a number of runs.
private struct RunTimes {
    var steps: [UInt64?] = []
    var whole: UInt64?
    var runs = 0
}

extension Predictor {
    /// The median time of each step and of a whole run in nanoseconds, on random values; the first run is left out. Steps
    /// of devices that tell no times have none.
    fileprivate func times(
        of steps: Int, runs: Int, goesOn: (_ done: Int) -> Bool
    ) throws -> RunTimes {
        var generator = Numbers()
        let given = zip(inputs, usualShapes).map { port, shape in generator.tensor(TensorType(port.type.dtype, shape)) }
        let state = states.isEmpty ? nil : try makeState()
        var seen = [[UInt64]](repeating: [], count: steps)
        var whole: [UInt64] = []
        for turn in 0...runs {
            guard goesOn(max(turn - 1, 0)) else { break }
            let start = Runtime.nanoseconds()
            _ = try run(given, state: state) { step, nanoseconds, _ in
                if turn > 0, seen.indices.contains(step) { seen[step].append(nanoseconds) }
            }
            if turn > 0 { whole.append(Runtime.nanoseconds() &- start) }
        }
        return RunTimes(steps: seen.map(\.median), whole: whole.median, runs: whole.count)
    }
}

extension [UInt64] {
    fileprivate var median: UInt64? { isEmpty ? nil : sorted()[count / 2] }
}

/// The same random values every time: floats from -1 to 1, and 0 for all others, as integers may be positions.
private struct Numbers {
    private var state: UInt64 = 1

    mutating func tensor(_ type: TensorType) -> Tensor {
        let values = (0..<type.count).map { _ in type.dtype.isFloat ? next() : 0 }
        return Tensor(values, dtype: type.dtype, shape: type.shape)
    }

    private mutating func next() -> Double {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Double(Int64(bitPattern: state) >> 11) / Double(1 << 52)
    }
}
