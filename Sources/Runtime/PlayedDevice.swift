import MIL

/// A described device that another one plays: what is computed, the player computes, under the described name and kind.
/// It refuses what the description refuses, and fails and waits as told. Tests and trials of caching and fallback use it.
public struct PlayedDevice: Device {
    /// Where it fails although it took the function.
    public enum Fault: String, Sendable, Hashable, CaseIterable {
        case compile, run
    }

    public let described: DescribedDevice
    public let fails: Fault?
    /// How much longer a run takes than on the player.
    public let latencyNanoseconds: Int
    /// Whether it stores a note of each function on disk, as a device does that keeps compiled models.
    public let keeps: Bool
    private let player: any Device

    public init(
        _ described: DescribedDevice, by player: any Device, fails: Fault? = nil, latencyNanoseconds: Int = 0,
        keeps: Bool = false
    ) {
        self.described = described
        self.fails = fails
        self.latencyNanoseconds = latencyNanoseconds
        self.keeps = keeps
        self.player = player
    }

    public var name: String { described.name }
    public var summary: String { "\(described.summary), played by \(player.name)" }
    public var kind: DeviceKind { described.kind }
    public var availability: Availability { described.availability }
    public var isHostMemory: Bool { described.isHostMemory }
    public var changesResults: Bool { described.changesResults }

    public func assess(_ call: Call) -> Verdict {
        if case .refused(let reason) = described.assess(call) { return .refused(reason: reason) }
        return player.assess(call)
    }

    public func refusal(of profile: OperationProfile) -> String? {
        described.refusal(of: profile) ?? player.refusal(of: profile)
    }

    public func compile(_ function: Function) throws -> any Executable {
        if fails == .compile {
            throw Failure(.unsupported, "The device '\(name)' is described as failing to compile.")
        }
        return PlayedExecutable(device: self, real: try player.compile(function))
    }

    public func compile(_ function: Function, keeping disk: DiskCache?) throws -> any Executable {
        if keeps, let disk {
            _ = try disk.entry(for: "\(function.digest)-\(kind.rawValue)") { folder in
                guard System.write("\(name)\n", to: folder + "/note") else {
                    throw Failure(.invalidArgument, "The note '\(folder)/note' cannot be written: \(System.lastError).")
                }
            }
        }
        return try compile(function)
    }
}

private struct PlayedExecutable: Executable {
    let device: PlayedDevice
    let real: any Executable

    var inputs: [Port] { real.inputs }
    var outputs: [Port] { real.outputs }

    var plan: Plan {
        var plan = real.plan
        plan.device = device.name
        return plan
    }

    func run(_ inputs: [Tensor], observing observer: Observer?) throws -> [Tensor] {
        if device.fails == .run {
            throw Failure(.unsupported, "The device '\(device.name)' is described as failing to run.")
        }
        if device.latencyNanoseconds > 0 { System.sleep(nanoseconds: device.latencyNanoseconds) }
        return try real.run(inputs, observing: observer)
    }
}
