/// What calibration found out about the devices of one machine.
public struct Measurements: Sendable, Hashable {
    /// Where it was measured.
    public var machine: Machine
    /// When it was measured, in seconds since 1970.
    public var measuredAt: Int
    /// What each class of work costs on each device, by the device's name.
    public var costs: [String: [OperationType: Cost]]
    /// Seconds to start an operation that does nothing, by the device's name.
    public var dispatch: [String: Double]
    /// Seconds to copy a byte, by the device's name.
    public var copies: [String: Double]
    /// What could not be measured, in words, with the reason.
    public var gaps: [String: String]

    /// Seconds that an operation takes: `start + perWork · work`.
    public struct Cost: Sendable, Hashable {
        public var start: Double
        public var perWork: Double

        public init(start: Double, perWork: Double) {
            self.start = start
            self.perWork = perWork
        }

        public func seconds(_ work: Double) -> Double { start + perWork * work }
    }

    /// What measurements hold for: another processor, system or version has its own.
    public struct Machine: Sendable, Hashable {
        public var processor: String
        public var processors: Int
        public var isa: String
        public var system: String
        public var version: String

        public init(processor: String, processors: Int, isa: String, system: String, version: String) {
            (self.processor, self.processors, self.isa) = (processor, processors, isa)
            (self.system, self.version) = (system, version)
        }
    }

    public init(
        machine: Machine, measuredAt: Int = 0, costs: [String: [OperationType: Cost]] = [:],
        dispatch: [String: Double] = [:], copies: [String: Double] = [:], gaps: [String: String] = [:]
    ) {
        self.machine = machine
        self.measuredAt = measuredAt
        self.costs = costs
        self.dispatch = dispatch
        self.copies = copies
        self.gaps = gaps
    }

    /// Seconds that a device is expected to take; nil where its class of work was not measured there.
    public func seconds(_ profile: OperationProfile, on device: any Device) -> Double? {
        guard let cost = costs[device.name]?[profile.type] else { return nil }
        let copying = device.isHostMemory ? 0 : (copies[device.name] ?? 0) * Double(profile.bytes)
        return cost.seconds(profile.work) + copying
    }
}

extension Measurements.Cost {
    /// The line through points of work and seconds whose relative errors are least; neither start nor slope is negative.
    /// Nil where there is no point.
    public init?(fitting points: [(work: Double, seconds: Double)]) {
        let usable = points.filter { $0.seconds > 0 && $0.seconds.isFinite && $0.work.isFinite }
        guard !usable.isEmpty else { return nil }
        // Weights of 1 / seconds² let a small size count as much as a large one.
        func sum(_ term: (Double, Double) -> Double) -> Double {
            usable.reduce(0) { $0 + term($1.work, $1.seconds) / ($1.seconds * $1.seconds) }
        }
        let (ones, works, squares) = (sum { _, _ in 1 }, sum { work, _ in work }, sum { work, _ in work * work })
        let (times, products) = (sum { $1 }, sum { $0 * $1 })
        let determinant = ones * squares - works * works
        let flat = Self(start: times / ones, perWork: 0)
        guard determinant > 1e-12 * ones * squares else {
            self = flat
            return
        }
        let start = (squares * times - works * products) / determinant
        let slope = (ones * products - works * times) / determinant
        if slope <= 0 {
            self = flat
        } else if start < 0 {
            self.init(start: 0, perWork: products / squares)
        } else {
            self.init(start: start, perWork: slope)
        }
    }
}
