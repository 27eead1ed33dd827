import CPUEngine
import ModelFiles
import Runtime

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

// Measurements in the user's cache folder, and what uses them: the one selector over all devices.

/// What is kept of an earlier calibration.
public struct StoredMeasurements: Sendable {
    /// Where the file is, or would be; nil where there is no folder for caches.
    public let path: String?
    /// Nil where nothing is kept, or what is kept cannot be used.
    public let measurements: Measurements?
    /// Why there are none.
    public let reason: String?
}

extension Measurements {
    static let filePrefix = "measurements-"
    static let largestFile = 1 << 20

    /// What an earlier calibration of this machine and version kept. Never fails: a broken or foreign file gives a reason.
    public static func stored(in folder: CacheFolder? = nil) -> StoredMeasurements {
        var path: String?
        do {
            let folder = try folder ?? .ofUser()
            path = folder.path + "/" + Machine.this.fileName
            guard let bytes = try folder.read(Machine.this.fileName, limit: largestFile) else {
                return StoredMeasurements(
                    path: path, measurements: nil, reason: "nothing is measured; `martlet calibrate` does that")
            }
            let kept = try bytes.withUnsafeBytes { try Measurements(json: JSON(parsing: $0)) }
            guard kept.machine == .this else {
                throw Failure(.malformed, "It was measured on another machine or by another version.")
            }
            return StoredMeasurements(path: path, measurements: kept, reason: nil)
        } catch {
            let words = (error as? Failure)?.message ?? "\(error)"
            return StoredMeasurements(
                path: path, measurements: nil, reason: "the file of measurements is ignored: \(words)")
        }
    }

    /// Keeps the measurements for later runs and returns the file's path.
    public func store(in folder: CacheFolder? = nil) throws -> String {
        try (folder ?? .ofUser()).write(json.pretty, to: machine.fileName)
    }
}

extension Measurements {
    /// Keeps the measurements for later runs, and lets `Backend.shared` go by them from its next call on; selectors made
    /// from now on find them. Returns the file's path.
    public func adopt(in folder: CacheFolder? = nil) throws -> String {
        let path = try store(in: folder)
        Backend.shared.selector?.measurements = self
        return path
    }
}

extension Measurements.Machine {
    /// This machine and this version of Martlet.
    public static let this = Self(
        processor: CPUInfo.model, processors: CPUInfo.processors, isa: CPUInfo.isa, system: systemName,
        version: Martlet.version)

    /// One file for each machine and version, so that a shared home does no harm.
    var fileName: String {
        let words = [processor, "\(processors)", isa, system, version].joined(separator: "\n")
        let hash = words.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return "\(Measurements.filePrefix)\(String(hash, radix: 16)).json"
    }

    private static let systemName: String = {
        var names = utsname()
        guard uname(&names) == 0 else { return "" }
        func text<Chars>(_ chars: Chars) -> String {
            withUnsafeBytes(of: chars) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return text(names.sysname) + " " + text(names.machine)
    }()
}

extension Measurements {
    /// The form of the file.
    public var json: JSON {
        func object<Value>(_ values: [String: Value], _ json: (Value) -> JSON) -> JSON {
            .object(values.sorted { $0.key < $1.key }.map { JSON.Member($0.key, json($0.value)) })
        }
        return .object([
            JSON.Member(
                "machine",
                .object([
                    JSON.Member("processor", .string(machine.processor)),
                    JSON.Member("processors", .integer(machine.processors)),
                    JSON.Member("isa", .string(machine.isa)), JSON.Member("system", .string(machine.system)),
                    JSON.Member("version", .string(machine.version)),
                ])),
            JSON.Member("measured_at", .integer(measuredAt)),
            JSON.Member("dispatch", object(dispatch, JSON.number)),
            JSON.Member("copies", object(copies, JSON.number)), JSON.Member("gaps", object(gaps, JSON.string)),
            JSON.Member(
                "costs",
                object(costs) { classes in
                    object(Dictionary(uniqueKeysWithValues: classes.map { ($0.key.rawValue, $0.value) })) {
                        .object([JSON.Member("a", .number($0.start)), JSON.Member("b", .number($0.perWork))])
                    }
                }),
        ])
    }

    /// Reads the form of the file; a failure names what is not as it should be.
    public init(json: JSON) throws {
        func numbers(_ name: String) throws -> [String: Double] {
            try members(json[name], name).reduce(into: [:]) { $0[$1.name] = try time($1.value, $1.name) }
        }
        let place = json["machine"]
        guard let processor = place?["processor"]?.string, let processors = place?["processors"]?.integer,
            let isa = place?["isa"]?.string, let system = place?["system"]?.string,
            let version = place?["version"]?.string
        else { throw Failure(.malformed, "Its 'machine' does not say where it was measured.") }
        let machine = Machine(
            processor: processor, processors: processors, isa: isa, system: system, version: version)
        let costs = try members(json["costs"], "costs").reduce(into: [String: [OperationType: Cost]]()) { all, device in
            all[device.name] = try members(device.value, device.name).reduce(into: [:]) { classes, member in
                guard let type = OperationType(rawValue: member.name) else { return }
                classes[type] = Cost(
                    start: try time(member.value["a"], "a"), perWork: try time(member.value["b"], "b"))
            }
        }
        guard let measuredAt = json["measured_at"]?.integer, measuredAt >= 0 else {
            throw Failure(.malformed, "It has no 'measured_at', the time of the measurement; calibrate again.")
        }
        let gaps = try members(json["gaps"], "gaps").reduce(into: [:]) { $0[$1.name] = $1.value.string ?? "" }
        self.init(
            machine: machine, measuredAt: measuredAt, costs: costs, dispatch: try numbers("dispatch"),
            copies: try numbers("copies"), gaps: gaps)
    }
}

private func members(_ json: JSON?, _ name: String) throws -> [JSON.Member] {
    guard let members = json?.members else { throw Failure(.malformed, "Its '\(name)' is no object.") }
    return members
}

private func time(_ json: JSON?, _ name: String) throws -> Double {
    guard let number = json?.number, number >= 0, number.isFinite else {
        throw Failure(.malformed, "Its '\(name)' is no time; it must be a number of seconds, at least 0.")
    }
    return number
}

extension DeviceCache {
    /// The statuses of all devices, for the whole process.
    public static let global = DeviceCache(devices: allDevices)
}

extension SmartDeviceSelector {
    /// The selector over all devices that Martlet knows, with what was measured on this machine.
    public convenience init(
        thresholds: DeviceThresholds = DeviceThresholds(), stored: StoredMeasurements = Measurements.stored()
    ) {
        self.init(
            devices: allDevices(), thresholds: thresholds, measurements: stored.measurements, statuses: .global)
    }
}
