import MIL

/// A device that is only described: the selector ranks it like any other, and nothing runs on it. So a Linux machine can
/// say what a Mac would choose.
public struct DescribedDevice: Device {
    public let name: String
    public let kind: DeviceKind
    public let availability: Availability
    public let changesResults: Bool
    /// Ops and operation types, by name, that it does not run.
    public let refuses: Set<String>
    /// What every class of work costs there, in seconds; nil where that is not said.
    public let cost: Measurements.Cost?

    public init(
        name: String, kind: DeviceKind, availability: Availability = .available, changesResults: Bool = false,
        refuses: Set<String> = [], cost: Measurements.Cost? = nil
    ) {
        self.name = name
        self.kind = kind
        self.availability = availability
        self.changesResults = changesResults
        self.refuses = refuses
        self.cost = cost
    }

    public var summary: String { "a described \(kind.title) device" }
    public var isHostMemory: Bool { true }

    public func assess(_ call: Call) -> Verdict {
        refuses.contains(call.op.name) ? .refused(reason: "it is described to refuse '\(call.op.name)'") : .native
    }

    public func refusal(of profile: OperationProfile) -> String? {
        let names = [profile.op, profile.type.rawValue].compactMap { $0 } + profile.calls.map(\.op.name)
        return names.first(where: refuses.contains).map { "it is described to refuse '\($0)'" }
    }

    public func compile(_ function: Function) throws -> any Executable {
        throw Failure(.unsupported, "The device '\(name)' is only described; nothing runs on it.")
    }
}

extension Measurements {
    /// These measurements with the costs that described devices declare; of those that declare none nothing is known.
    public func describing(_ devices: [any Device]) -> Measurements {
        var result = self
        for case let device as DescribedDevice in devices {
            result.costs[device.name] = device.cost.map { cost in
                Dictionary(uniqueKeysWithValues: OperationType.allCases.map { ($0, cost) })
            }
            (result.dispatch[device.name], result.copies[device.name]) = (nil, nil)
        }
        return result
    }
}
