import MIL
import Runtime
import Synchronization

/// A clock that only the test moves.
final class TestClock: Sendable {
    private let time = Atomic<UInt64>(1_000_000)

    var now: UInt64 { time.load(ordering: .relaxed) }
    func advance(seconds: Double) { time.wrappingAdd(UInt64(seconds * 1e9), ordering: .relaxed) }
    var clock: DeviceCache.Clock { { [self] in now } }
}

/// A device that runs nothing and takes a known time for it.
struct TimedDevice: Device {
    let name: String
    let clock: TestClock
    var kind = DeviceKind.cpu
    var cost = Measurements.Cost(start: 1e-6, perWork: 1e-9)
    var perByte = 0.0
    var isHostMemory = true
    var refuses: Set<String> = []
    /// The ops that noise hits; nil: all.
    var unsteady: Set<String>?
    /// Other work on the machine: makes each run longer by up to this many times its time.
    var noise: Noise?
    let availability = Availability.available
    let summary = "a device with a clock of its own"

    func assess(_ call: Call) -> Verdict {
        refuses.contains(call.op.name) ? .refused(reason: "It has no \(call.op.name).") : .native
    }

    func compile(_ function: Function) throws -> any Executable {
        for operation in function.operations where refuses.contains(operation.op) {
            throw Failure(.unsupported, "It has no \(operation.op).")
        }
        return try TimedExecutable(self, function)
    }
}

private struct TimedExecutable: Executable {
    let device: TimedDevice
    let inputs: [Port]
    let outputs: [Port]
    let plan: Plan
    let seconds: Double
    let noise: Noise?

    init(_ device: TimedDevice, _ function: Function) throws {
        let profile = try OperationProfile(function)
        let isNothing = function.operations.allSatisfy { $0.op == "identity" }
        self.device = device
        inputs = try function.inputs.map { Port(name: function[$0].name, type: try function.tensorType($0)) }
        outputs = []
        plan = Plan(device: device.name, steps: [], workspaceBytes: 0, packedBytes: 0)
        let isHit = device.unsteady.map { ops in function.operations.contains { ops.contains($0.op) } } ?? true
        noise = isHit ? device.noise : nil
        seconds = device.cost.seconds(isNothing ? 0 : profile.work) + device.perByte * Double(profile.bytes)
    }

    func run(_ inputs: [Tensor], observing observer: Observer?) throws -> [Tensor] {
        device.clock.advance(seconds: seconds * (noise?.factor(at: device.clock.now) ?? 1))
        return []
    }
}

/// What other processes do to the times of a device: by the clock, so that a whole round is hit or spared.
struct Noise: Sendable {
    /// Seconds for which the machine stays as it is.
    var stretch: Double
    /// How often it is busy, 0 to 1.
    var share: Double
    /// How many times longer runs then take, at most.
    var worst: Double

    func factor(at nanoseconds: UInt64) -> Double {
        var dice = Dice(state: nanoseconds / UInt64(stretch * 1e9))
        return Double.random(in: 0..<1, using: &dice) < share ? Double.random(in: 1...worst, using: &dice) : 1
    }
}

/// A described device in one line.
func described(
    _ name: String, _ kind: DeviceKind, a: Double? = nil, b: Double = 0, available: Bool = true,
    changesResults: Bool = false, refuses: Set<String> = []
) -> DescribedDevice {
    DescribedDevice(
        name: name, kind: kind, availability: available ? .available : .unavailable(reason: "It is switched off."),
        changesResults: changesResults, refuses: refuses,
        cost: a.map { Measurements.Cost(start: $0, perWork: b) })
}

let somewhere = Measurements.Machine(processor: "test", processors: 1, isa: "none", system: "none", version: "0")

/// A selector over described devices, by what they declare.
func ranking(_ devices: [DescribedDevice], thresholds: DeviceThresholds = DeviceThresholds()) -> SmartDeviceSelector {
    SmartDeviceSelector(
        devices: devices, thresholds: thresholds, measurements: Measurements(machine: somewhere).describing(devices))
}

extension SmartDeviceSelector {
    func choice(_ op: String, _ shape: [Int], _ dtype: DataType = .float32) throws -> Choice {
        try selectDevice(OperationProfile(op, shape, dtype))
    }

    func chain(_ op: String, _ shape: [Int], _ dtype: DataType = .float32) throws -> [String] {
        try fallbackChain(OperationProfile(op, shape, dtype)).map(\.device.name)
    }
}

/// Numbers that look random and are the same every time.
struct Dice: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
