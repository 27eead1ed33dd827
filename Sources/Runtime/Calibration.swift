import MIL

/// Measures what operations cost on the devices present: starting one, copying, and a few sizes of each class of work.
public struct Calibration: Sendable {
    public let devices: [any Device]
    public let machine: Measurements.Machine
    /// Nanoseconds that the whole may take; a compilation that is under way is not cut.
    public let budget: UInt64
    private let isQuick: Bool
    private let clock: DeviceCache.Clock

    /// How far it is: visits done of all, and what is measured next, at the end nothing. Answering false ends it with what there is.
    public typealias Progress = (_ done: Int, _ total: Int, _ next: String) -> Bool

    /// Devices that are not available, or change results, are left out. `quick` takes under a second, else a few.
    public init(
        devices: [any Device], machine: Measurements.Machine, quick: Bool = false,
        clock: @escaping DeviceCache.Clock = { nanoseconds() }
    ) {
        self.devices = devices.filter { $0.availability.isAvailable && !$0.changesResults }
        self.machine = machine
        self.clock = clock
        isQuick = quick
        budget = quick ? 800_000_000 : 4_000_000_000
    }

    /// Measures everything the budget allows, in rounds, so that a busy moment of the machine falls on every device alike.
    /// What a device refuses is named in `gaps`.
    public func run(progress: Progress = { _, _, _ in true }) -> Measurements {
        var report = Measurements(machine: machine)
        let trials = trials(&report.gaps)
        let visits = trials.count * rounds
        let start = clock()
        var goesOn = true
        for visit in 0..<visits {
            let spent = clock() - start
            guard spent < budget else { break }
            let trial = trials[visit % trials.count]
            goesOn = progress(visit, visits, trial.words)
            guard goesOn else { break }
            trial.visit(within: (budget - spent) / UInt64(visits - visit), clock)
        }
        if goesOn { _ = progress(visits, visits, "") }
        gather(trials, into: &report)
        return report
    }

    private var rounds: Int { isQuick ? 2 : 4 }

    /// Medians of all rounds, and the costs that follow from them.
    private func gather(_ trials: [Trial], into report: inout Measurements) {
        var points: [String: [OperationType: [(work: Double, seconds: Double)]]] = [:]
        for trial in trials {
            let name = trial.device.name
            if let gap = trial.gap { report.gaps["\(trial.purpose.words) on \(name)"] = gap }
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

/// One operation on one device, with the times of its runs so far.
private final class Trial {
    let device: any Device
    let purpose: Purpose
    let example: Example
    /// Why it cannot be measured.
    private(set) var gap: String?
    private var executable: (any Executable)?
    private var times: [UInt64] = []

    init(_ device: any Device, _ purpose: Purpose, _ example: Example) {
        (self.device, self.purpose, self.example) = (device, purpose, example)
    }

    var words: String { "\(example.op) \(example.type.shape) on \(device.name)" }

    var median: Double? {
        times.isEmpty ? nil : Double(times.sorted()[times.count / 2]) / 1e9
    }

    /// Runs it at least once and at most some dozens of times; the first visit compiles it and warms it up.
    func visit(within share: UInt64, _ clock: DeviceCache.Clock) {
        guard gap == nil else { return }
        let start = clock()
        do {
            let executable = try executable ?? prepared()
            var runs = 0
            repeat {
                let before = clock()
                _ = try executable.run(example.inputs)
                times.append(clock() - before)
                runs += 1
            } while runs < 50 && clock() - start < share
        } catch {
            gap = (error as? Failure)?.message ?? "\(error)"
        }
    }

    private func prepared() throws -> any Executable {
        let made = try device.compile(example.function)
        _ = try made.run(example.inputs)
        executable = made
        return made
    }
}
