import MIL

/// Measures what operations cost on the devices present: starting one, copying, and a few sizes of each class of work.
public struct Calibration: Sendable {
    public let devices: [any Device]
    public let machine: Measurements.Machine
    /// Nanoseconds that the whole may take; a compilation that is under way is not cut.
    public let budget: UInt64
    private let isQuick: Bool
    private let clock: DeviceCache.Clock

    /// How far it is: points done of all, and what is measured next. Answering false ends it with what there is.
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

    /// Measures everything the budget allows; small sizes come first. What a device refuses is named in `gaps`.
    public func run(progress: Progress = { _, _, _ in true }) -> Measurements {
        var report = Measurements(machine: machine)
        var seconds: [String: [OperationType: [(work: Double, seconds: Double)]]] = [:]
        let points = points
        let start = clock()
        for (done, point) in points.enumerated() {
            let spent = clock() - start
            guard progress(done, points.count, point.words), spent < budget else { break }
            let share = (budget - spent) / UInt64(points.count - done)
            let name = point.device.name
            let sample: Sample
            do {
                sample = try measure(point, within: share)
            } catch {
                report.gaps[point.words] = (error as? Failure)?.message ?? "\(error)"
                continue
            }
            switch point.purpose {
            case .dispatch: report.dispatch[name] = sample.seconds
            case .copy:
                let copying = max(sample.seconds - (report.dispatch[name] ?? 0), 0)
                report.copies[name] = copying / Double(max(sample.bytes, 1))
            case .work(let type):
                let copying = point.device.isHostMemory ? 0 : (report.copies[name] ?? 0) * Double(sample.bytes)
                let own = max(sample.seconds - copying, 1e-9)
                seconds[name, default: [:]][type, default: []].append((sample.work, own))
            }
        }
        _ = progress(points.count, points.count, "")
        report.costs = seconds.mapValues { $0.compactMapValues(Measurements.Cost.init(fitting:)) }
        return report
    }

    private struct Point {
        let device: any Device
        let purpose: Purpose
        let op: String
        let type: TensorType

        var words: String { "\(op) \(type.shape) on \(device.name)" }
    }

    private enum Purpose {
        case dispatch, copy
        case work(OperationType)
    }

    private struct Sample {
        let seconds: Double
        let work: Double
        let bytes: Int
    }

    /// Size by size, class by class, device by device: what a short budget cuts off are the largest sizes of all.
    private var points: [Point] {
        func everywhere(_ purpose: Purpose, _ op: String, _ type: TensorType) -> [Point] {
            devices.map { Point(device: $0, purpose: purpose, op: op, type: type) }
        }
        var points = everywhere(.dispatch, "identity", TensorType(.float32, [1]))
        points += everywhere(.copy, "identity", TensorType(.float32, [isQuick ? 1 << 16 : 1 << 20]))
        for size in 0..<(isQuick ? 3 : 4) {
            for type in OperationType.allCases {
                guard let op = type.example, let shapes = Calibration.shapes[type], size < shapes.count else {
                    continue
                }
                let dtype: DataType = type == .complexNumber ? .complex64 : .float32
                points += everywhere(.work(type), op, TensorType(dtype, shapes[size]))
            }
        }
        return points
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

    /// The median time of a few runs after the first, which warms up.
    private func measure(_ point: Point, within share: UInt64) throws -> Sample {
        let start = clock()
        var function = try Function(example: point.op, point.type)
        let profile = try OperationProfile(function)
        // Filters are known before the run, as in models.
        if point.op == "conv" {
            for id in function.inputs.dropFirst() {
                function[id].constant = try Calibration.values(function.tensorType(id))
            }
            function.block.inputs = Array(function.inputs.prefix(1))
        }
        let executable = try point.device.compile(function)
        let inputs = try executable.inputs.map { try Calibration.values($0.type) }
        _ = try executable.run(inputs)
        var times: [UInt64] = []
        repeat {
            let before = clock()
            _ = try executable.run(inputs)
            times.append(clock() - before)
        } while times.count < 3 || (times.count < 101 && clock() - start < share)
        times.sort()
        return Sample(seconds: Double(times[times.count / 2]) / 1e9, work: profile.work, bytes: profile.bytes)
    }

    /// Numbers that no kernel finds slow: all halves.
    private static func values(_ type: TensorType) throws -> Tensor {
        Tensor(Array(repeating: 0.5, count: type.count), dtype: type.dtype, shape: type.shape)
    }
}
