import MIL

/// Measures what operations cost on the devices present: starting one, copying, and a few sizes of each class of work.
///
/// Each operation is compiled and warmed up once. Then all are timed in rounds, so that a busy moment of the machine falls
/// on every device alike, until the rounds agree or the time is over. What the rounds do not agree on is not believed.
public struct Calibration: Sendable {
    public let devices: [any Device]
    public let machine: Measurements.Machine
    /// Nanoseconds that the whole may take at most; a compilation that is under way is not cut.
    public let limit: UInt64
    /// How far the median of an operation's rounds may lie above the fastest round, as a part of that.
    public let tolerance: Double
    private let isQuick: Bool
    private let clock: DeviceCache.Clock

    /// As far as the selector ignores differences between devices.
    public static let usualTolerance = 1 - SmartDeviceSelector.patience

    /// How far it is: visits done of all that are known to come, and what is measured next, at the end nothing. Answering
    /// false ends it with nothing found.
    public typealias Progress = (_ done: Int, _ total: Int, _ next: String) -> Bool

    /// What was measured, and whether it can be believed.
    public struct Outcome: Sendable {
        public let measurements: Measurements
        /// Why the measurements must not be kept; nil if they may be.
        public let objection: String?
    }

    /// Devices that are not available, or change results, are left out. Where the rounds agree at once, `quick` takes under
    /// a second, else four; on a busy machine up to 3 and 20.
    public init(
        devices: [any Device], machine: Measurements.Machine, quick: Bool = false,
        tolerance: Double = Calibration.usualTolerance, clock: @escaping DeviceCache.Clock = { nanoseconds() }
    ) {
        self.devices = devices.filter { $0.availability.isAvailable && !$0.changesResults }
        self.machine = machine
        self.tolerance = tolerance
        self.clock = clock
        isQuick = quick
        limit = quick ? 3_000_000_000 : 20_000_000_000
    }

    /// Measures everything that the time allows. What a device refuses, what found no time and what rounds do not agree on
    /// is named in `gaps`.
    public func run(progress: Progress = { _, _, _ in true }) -> Outcome {
        var report = Measurements(machine: machine, measuredAt: System.seconds)
        let all = trials(&report.gaps)
        let start = clock()
        guard let trials = prepared(all, since: start, progress) else { return ended(report) }
        let share = round / UInt64(max(trials.count, 1))
        var (done, total) = (all.count, all.count + trials.count * Calibration.leastRounds)
        rounds: for number in 0... {
            if number >= Calibration.leastRounds {
                guard !trials.allSatisfy({ $0.isSteady(within: tolerance) }) else { break }
                total += trials.count
            }
            for trial in trials {
                guard clock() - start < limit else { break rounds }
                guard progress(done, total, trial.words) else { return ended(report) }
                trial.visit(within: share, clock)
                done += 1
            }
        }
        _ = progress(done, done, "")
        gather(all, into: &report)
        return Outcome(measurements: report, objection: objection(to: trials))
    }

    /// Rounds before the first question whether they agree.
    private static let leastRounds = 4
    /// Nanoseconds that one round takes, unless single runs are longer.
    private var round: UInt64 { isQuick ? 180_000_000 : 900_000_000 }

    /// Compiles every trial and runs it once. Left out are those whose rounds would not fit into the time, of which the
    /// largest come last. Nil if the caller ends it.
    private func prepared(_ all: [Trial], since start: UInt64, _ progress: Progress) -> [Trial]? {
        var planned: UInt64 = 0
        var ready: [Trial] = []
        for (done, trial) in all.enumerated() {
            guard progress(done, all.count * (1 + Calibration.leastRounds), trial.words) else { return nil }
            guard clock() - start + planned < limit, let run = trial.prepare(clock) else { continue }
            let rounds = run * UInt64(Calibration.leastRounds)
            guard clock() - start + planned + rounds < limit else { continue }
            planned += rounds
            ready.append(trial)
        }
        return ready
    }

    private func ended(_ report: Measurements) -> Outcome {
        Outcome(measurements: report, objection: "the calibration was ended")
    }

    /// A few operations out of many may stay unsteady by chance: they become gaps. More of them mean a busy machine.
    private func objection(to trials: [Trial]) -> String? {
        let measured = trials.filter { $0.gap == nil && $0.rounds >= Calibration.leastRounds }
        let unsteady = measured.filter { !$0.isSteady(within: tolerance) }
        guard !measured.isEmpty else { return "nothing could be measured within \(duration(Double(limit) / 1e9))" }
        guard unsteady.count * 10 > measured.count else { return nil }
        let worst = unsteady.map(\.spread).max() ?? 0
        return "the machine is too busy: the rounds of \(unsteady.count) of \(measured.count) operations differ by "
            + "more than \(percent(tolerance)), at worst by \(percent(worst))"
    }

    /// Medians of all rounds, and the costs that follow from them.
    private func gather(_ trials: [Trial], into report: inout Measurements) {
        var points: [String: [OperationType: [(work: Double, seconds: Double)]]] = [:]
        for trial in trials {
            let name = trial.device.name
            if let gap = trial.gap ?? doubt(about: trial) {
                report.gaps["\(trial.isRefused ? trial.purpose.words : trial.example.words) on \(name)"] = gap
                continue
            }
            guard let seconds = trial.median else { continue }
            let bytes = trial.example.profile.bytes
            switch trial.purpose {
            case .dispatch: report.dispatch[name] = seconds
            case .copy:
                report.copies[name] = max(seconds - (report.dispatch[name] ?? 0), 0) / Double(max(bytes, 1))
            case .work(let type):
                let copying = trial.device.isHostMemory ? 0 : (report.copies[name] ?? 0) * Double(bytes)
                let own = max(seconds - copying, 1e-9)
                points[name, default: [:]][type, default: []].append((trial.example.profile.work, own))
            }
        }
        report.costs = points.mapValues { $0.compactMapValues(Measurements.Cost.init(fitting:)) }
    }

    /// Why the times of a trial count for nothing.
    private func doubt(about trial: Trial) -> String? {
        if trial.rounds < Calibration.leastRounds { return "There was no time for it." }
        if trial.isSteady(within: tolerance) { return nil }
        return "Its rounds differ by \(percent(trial.spread))."
    }

    /// Size by size, class by class, device by device: what a short budget cuts off are the largest sizes of all.
    private func trials(_ gaps: inout [String: String]) -> [Trial] {
        func everywhere(_ purpose: Purpose, _ op: String, _ type: TensorType) -> [Trial] {
            do {
                let example = try Example(op, type)
                return devices.map { Trial($0, purpose, example) }
            } catch {
                gaps[purpose.words] = (error as? Failure)?.message ?? "\(error)"
                return []
            }
        }
        var trials = everywhere(.dispatch, "identity", TensorType(.float32, [1]))
        trials += everywhere(.copy, "identity", TensorType(.float32, [isQuick ? 1 << 16 : 1 << 20]))
        for size in 0..<(isQuick ? 3 : 4) {
            for type in OperationType.allCases {
                guard let op = type.example, let shapes = Calibration.shapes[type], size < shapes.count else {
                    continue
                }
                let dtype: DataType = type == .complexNumber ? .complex64 : .float32
                trials += everywhere(.work(type), op, TensorType(dtype, shapes[size]))
            }
        }
        return trials
    }

    /// A few sizes of each class, the smallest first.
    private static let shapes: [OperationType: [[Int]]] = [
        .matrixMultiplication: [[16, 16], [64, 64], [256, 256], [512, 512]],
        .activation: [[256], [1 << 12], [1 << 16], [1 << 20]],
        .convolution: [[1, 8, 8, 8], [1, 16, 32, 32], [1, 32, 56, 56], [1, 64, 56, 56]],
        .elementWise: [[256], [1 << 12], [1 << 16], [1 << 20]],
        .complexNumber: [[256], [1 << 12], [1 << 16], [1 << 19]],
        .statisticalDistribution: [[256], [1 << 12], [1 << 15], [1 << 17]],
    ]
}

private enum Purpose {
    case dispatch, copy
    case work(OperationType)

    var words: String {
        switch self {
        case .dispatch: "an empty operation"
        case .copy: "copying"
        case .work(let type): type.rawValue
        }
    }
}

/// An operation that all devices are measured with.
private struct Example {
    let op: String
    let type: TensorType
    let function: Function
    let profile: OperationProfile
    let inputs: [Tensor]

    var words: String { "\(op) \(type.shape)" }

    init(_ op: String, _ type: TensorType) throws {
        var function = try Function(example: op, type)
        profile = try OperationProfile(function)
        // Filters are known before the run, as in models.
        if op == "conv" {
            for id in function.inputs.dropFirst() {
                function[id].constant = try Example.values(function.tensorType(id))
            }
            function.block.inputs = Array(function.inputs.prefix(1))
        }
        inputs = try function.inputs.map { try Example.values(function.tensorType($0)) }
        (self.op, self.type, self.function) = (op, type, function)
    }

    /// Numbers that no kernel finds slow: all halves.
    private static func values(_ type: TensorType) -> Tensor {
        Tensor(Array(repeating: 0.5, count: type.count), dtype: type.dtype, shape: type.shape)
    }
}

/// One operation on one device, with the times of its rounds so far.
private final class Trial {
    let device: any Device
    let purpose: Purpose
    let example: Example
    /// Why the device does not run it.
    private(set) var gap: String?
    private var executable: (any Executable)?
    /// Nanoseconds of a run, one number a round.
    private var times: [UInt64] = []

    init(_ device: any Device, _ purpose: Purpose, _ example: Example) {
        (self.device, self.purpose, self.example) = (device, purpose, example)
    }

    var words: String { "\(example.words) on \(device.name)" }

    var isRefused: Bool { gap != nil }

    var rounds: Int { times.count }

    var median: Double? {
        times.isEmpty ? nil : Double(times.sorted()[times.count / 2]) / 1e9
    }

    /// How far the median of the rounds lies above the fastest one. Other work on a machine only ever adds time: where half
    /// of the rounds are near the fastest, they were left alone.
    var spread: Double {
        let sorted = times.sorted()
        guard let least = sorted.first else { return .infinity }
        return Double(sorted[sorted.count / 2] - least) / Double(max(least, 1))
    }

    func isSteady(within tolerance: Double) -> Bool { isRefused || spread <= tolerance }

    /// Compiles it and runs it once. Answers the nanoseconds of that run; nil where the device refuses.
    func prepare(_ clock: DeviceCache.Clock) -> UInt64? {
        do {
            let made = try device.compile(example.function)
            let start = clock()
            _ = try made.run(example.inputs)
            executable = made
            return clock() - start
        } catch {
            gap = (error as? Failure)?.message ?? "\(error)"
            return nil
        }
    }

    /// A round: runs it at least once and at most some dozens of times, and keeps the lower quartile of the times.
    func visit(within share: UInt64, _ clock: DeviceCache.Clock) {
        guard gap == nil, let executable else { return }
        let start = clock()
        var runs: [UInt64] = []
        do {
            repeat {
                let before = clock()
                _ = try executable.run(example.inputs)
                runs.append(clock() - before)
            } while runs.count < 50 && clock() - start < share
        } catch {
            gap = (error as? Failure)?.message ?? "\(error)"
            return
        }
        times.append(runs.sorted()[runs.count / 4])
    }
}

private func percent(_ part: Double) -> String {
    guard part.isFinite else { return "any amount" }
    return part < 10 ? "\(Int((part * 100).rounded())) %" : "a factor of \(Int(min(part, 1e9).rounded()) + 1)"
}
