import MIL

/// A device as a description has it: another device under another name that refuses, fails and waits as told. Tests and
/// trials of selection, caching and fallback use it; everything it computes, the real device computes.
public struct DescribedDevice: Device {
    /// Where it fails although it took the operation.
    public enum Fault: String, Sendable, Hashable, CaseIterable {
        case compile, run
    }

    public let name: String
    /// What it stands for: `cpu`, `metal` or `coreml`.
    public let kind: String
    public let availability: Availability
    /// The ops it refuses.
    public let refuses: Set<String>
    public let fails: Fault?
    /// How much longer a run takes than on the real device.
    public let latencyNanoseconds: Int
    /// Whether it stores a note of each function on disk, as a device does that keeps compiled models.
    public let keeps: Bool
    private let real: any Device

    public init(
        _ name: String, kind: String, over real: any Device, refuses: Set<String> = [], fails: Fault? = nil,
        latencyNanoseconds: Int = 0, availability: Availability = .available, keeps: Bool = false
    ) {
        self.name = name
        self.kind = kind
        self.availability = availability
        self.refuses = refuses
        self.fails = fails
        self.latencyNanoseconds = latencyNanoseconds
        self.keeps = keeps
        self.real = real
    }

    public var summary: String { "described: \(real.name) in the place of \(kind)" }

    public func assess(_ call: Call) -> Verdict {
        refuses.contains(call.op.name)
            ? .refused(reason: "the device '\(name)' is described as refusing it.") : real.assess(call)
    }

    public func compile(_ function: Function) throws -> any Executable {
        if fails == .compile {
            throw Failure(.unsupported, "The device '\(name)' is described as failing to compile.")
        }
        return DescribedExecutable(device: self, real: try real.compile(function))
    }

    public func compile(_ function: Function, keeping disk: DiskCache?) throws -> any Executable {
        if keeps, let disk {
            _ = try disk.entry(for: function.digest + "-" + kind) { folder in
                _ = System.write("\(name)\n", to: folder + "/note")
            }
        }
        return try compile(function)
    }
}

private struct DescribedExecutable: Executable {
    let device: DescribedDevice
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
