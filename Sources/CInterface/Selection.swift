// Devices and smart selection, as martlet.h has them.

import CHeader
import Martlet
import ModelFiles

/// A selector, with where its measurements came from.
final class SelectorObject: Handled {
    static let kind = HandleKind.selector

    let selector: SmartDeviceSelector
    let stored: StoredMeasurements

    init(devices: [any Device], _ thresholds: DeviceThresholds) {
        stored = Measurements.stored()
        // Described devices have a cache of their own: their names say nothing about this machine.
        let isDescribed = devices.contains { $0 is DescribedDevice }
        let nothing = Measurements(machine: .this)
        selector = SmartDeviceSelector(
            devices: devices, thresholds: thresholds,
            measurements: isDescribed ? (stored.measurements ?? nothing).describing(devices) : stored.measurements,
            statuses: isDescribed ? nil : .global)
    }
}

@_cdecl("mlt_profile")
public func mlt_profile(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ profile: UnsafePointer<CChar>?) -> mlt_status {
    status { try give(out) { TextObject(answer(of: try readProfile(profile)).description) } }
}

@_cdecl("mlt_selector_make")
public func mlt_selector_make(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ devices: UnsafePointer<CChar>?,
    _ thresholds: UnsafePointer<CChar>?
) -> mlt_status {
    status {
        try give(out) {
            let devices = try devices.map { try readDevices(JSON(parsing: text($0, "devices"))) } ?? allDevices()
            let thresholds = try thresholds.map { try readThresholds(JSON(parsing: text($0, "thresholds"))) }
            return SelectorObject(devices: devices, thresholds ?? DeviceThresholds())
        }
    }
}

@_cdecl("mlt_selector_select")
public func mlt_selector_select(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ selector: OpaquePointer?, _ profile: UnsafePointer<CChar>?
) -> mlt_status {
    ask(out, selector, profile) { answer(of: try $0.selector.selectDevice($1)) }
}

@_cdecl("mlt_selector_chain")
public func mlt_selector_chain(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ selector: OpaquePointer?, _ profile: UnsafePointer<CChar>?
) -> mlt_status {
    ask(out, selector, profile) { .array($0.selector.fallbackChain($1).map(answer)) }
}

@_cdecl("mlt_selector_explain")
public func mlt_selector_explain(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ selector: OpaquePointer?, _ profile: UnsafePointer<CChar>?
) -> mlt_status {
    ask(out, selector, profile) { answer(of: $0.selector.explain($1), $0) }
}

@_cdecl("mlt_selector_pin")
public func mlt_selector_pin(
    _ selector: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ device: UnsafePointer<CChar>?
) -> mlt_status {
    status {
        let name = try text(name, "name of the op or operation type")
        let device = try device.map { try text($0, "name of the device") }
        try handles.use(selector, as: SelectorObject.self) {
            if let device { try $0.selector.pin(name, to: device) } else { try $0.selector.unpin(name) }
        }
    }
}

/// Called before each visit of a point of a calibration; an answer other than 0 ends it.
public typealias CalibrationProgress =
    @convention(c) (
        UnsafeMutableRawPointer?, Int32, Int32, UnsafePointer<CChar>?
    ) -> Int32

@_cdecl("mlt_calibrate")
public func mlt_calibrate(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ quick: Int32, _ tolerance: Double,
    _ progress: CalibrationProgress?, _ context: UnsafeMutableRawPointer?
) -> mlt_status {
    status {
        try give(out) {
            guard tolerance >= 0 else { throw wrong("The tolerance is \(tolerance); it must be at least 0.") }
            var wasEnded = false
            let start = nanoseconds()
            let calibration = Calibration(
                devices: allDevices(), machine: .this, quick: quick != 0, tolerance: tolerance)
            let outcome = calibration.run { done, total, next in
                wasEnded =
                    next.withCString { progress?(context, Int32(clamping: done), Int32(clamping: total), $0) } ?? 0 != 0
                return !wasEnded
            }
            guard !wasEnded else { throw Failure(.invalidArgument, "The calibration was ended; nothing is kept.") }
            let seconds = Double(nanoseconds() - start) / 1e9
            let path = try outcome.objection == nil ? outcome.measurements.adopt() : nil
            var answer = outcome.measurements.json.members ?? []
            answer += [
                JSON.Member("path", .text(path)), JSON.Member("objection", .text(outcome.objection)),
                JSON.Member("seconds", .number(seconds)),
            ]
            return TextObject(JSON.object(answer).description)
        }
    }
}

@_cdecl("mlt_device_cache")
public func mlt_device_cache(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ action: UnsafePointer<CChar>?, _ device: UnsafePointer<CChar>?
) -> mlt_status {
    status {
        try give(out) {
            let action = try text(action, "action")
            let device = try device.map { try text($0, "name of the device") }
            return TextObject(try answerOfCache(action, device).description)
        }
    }
}

private func ask(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ selector: OpaquePointer?, _ profile: UnsafePointer<CChar>?,
    _ answer: (SelectorObject, OperationProfile) throws -> JSON
) -> mlt_status {
    status {
        try give(out) {
            try handles.use(selector, as: SelectorObject.self) {
                TextObject(try answer($0, try readProfile(profile)).description)
            }
        }
    }
}

// MARK: What comes in

private func wrong(_ what: String) -> Failure { Failure(.invalidArgument, what) }

/// The members of an object, each of a known name.
private func members(_ json: JSON, of what: String, _ known: [String]) throws -> [String: JSON] {
    guard let members = json.members else { throw wrong("The \(what) must be a JSON object.") }
    return try members.reduce(into: [:]) { result, member in
        guard known.contains(member.name) else {
            throw wrong("The \(what) has no '\(member.name)'; it has \(known.joined(separator: ", ")).")
        }
        result[member.name] = member.value
    }
}

private func readProfile(_ chars: UnsafePointer<CChar>?) throws -> OperationProfile {
    let json = try JSON(parsing: text(chars, "profile"))
    let members = try members(json, of: "profile", ["op", "shape", "dtype"])
    guard let op = members["op"]?.string else { throw wrong("The profile's 'op' must be a name.") }
    let sizes = members["shape"]?.array?.map(\.integer) ?? [nil]
    let shape = sizes.compactMap { $0 }
    guard shape.count == sizes.count, shape.allSatisfy({ $0 >= 0 }) else {
        throw wrong("The profile's 'shape' must be an array of integers, none below 0.")
    }
    let name = members["dtype"]?.string ?? "fp32"
    guard let dtype = DataType(name: name) else {
        throw Failure(.wrongType, "There is no element type '\(name)' for a profile.")
    }
    return try OperationProfile(op, shape, dtype)
}

private func readThresholds(_ json: JSON) throws -> DeviceThresholds {
    let fields: [(String, WritableKeyPath<DeviceThresholds, Int>)] = [
        ("coreml_min_size", \.coremlMinSize), ("coreml_max_size", \.coremlMaxSize),
        ("metal_min_size", \.metalMinSize), ("gpu_min_memory", \.gpuMinMemory),
    ]
    let members = try members(json, of: "thresholds", fields.map(\.0))
    var thresholds = DeviceThresholds()
    for (name, field) in fields {
        guard let given = members[name] else { continue }
        guard let value = given.integer else { throw wrong("The threshold '\(name)' must be an integer.") }
        thresholds[keyPath: field] = value
    }
    try thresholds.check()
    return thresholds
}

/// Names of real devices and descriptions of others, each name once.
private func readDevices(_ json: JSON) throws -> [any Device] {
    guard let entries = json.array else { throw wrong("The devices must be a JSON array.") }
    let real = allDevices()
    let devices: [any Device] = try entries.map { entry in
        guard let name = entry.string else { return try readDescription(entry) }
        guard let device = real.first(where: { $0.name == name }) else {
            let names = real.map { "'\($0.name)'" }.joined(separator: ", ")
            throw wrong("There is no device '\(name)'; there are \(names).")
        }
        return device
    }
    guard Set(devices.map(\.name)).count == devices.count else { throw wrong("Two devices have one name.") }
    return devices
}

func readDescription(_ json: JSON) throws -> DescribedDevice {
    let known = ["name", "kind", "available", "reason", "changes_results", "refuses", "cost"]
    let members = try members(json, of: "described device", known)
    guard let name = members["name"]?.string, !name.isEmpty else { throw wrong("A described device needs a 'name'.") }
    guard let kind = members["kind"]?.string.flatMap(DeviceKind.init) else {
        let kinds = DeviceKind.allCases.map(\.rawValue).joined(separator: ", ")
        throw wrong("The described device '\(name)' needs a 'kind' out of \(kinds).")
    }
    func flag(_ member: String, _ otherwise: Bool) throws -> Bool {
        guard let given = members[member], given != .null else { return otherwise }
        guard let value = given.bool else { throw wrong("'\(member)' of '\(name)' must be true or false.") }
        return value
    }
    let reason = members["reason"]?.string ?? "it is described so"
    let refuses = members["refuses"] ?? .array([])
    guard let names = refuses.array?.map(\.string), !names.contains(nil) else {
        throw wrong("'refuses' of '\(name)' must be an array of names.")
    }
    return DescribedDevice(
        name: name, kind: kind, availability: try flag("available", true) ? .available : .unavailable(reason: reason),
        changesResults: try flag("changes_results", false), refuses: Set(try names.compactMap { $0 }.map(readOp)),
        cost: try members["cost"].flatMap { $0 == .null ? nil : try readCost($0, of: name) })
}

/// An op or operation type, by the name that the table has.
private func readOp(_ name: String) throws -> String {
    if let op = OpTable[name] { return op.name }
    if let type = OperationType(name: name) { return type.rawValue }
    throw wrong("'\(name)' is neither an op of the table nor an operation type.")
}

private func readCost(_ json: JSON, of name: String) throws -> Measurements.Cost {
    let members = try members(json, of: "cost of '\(name)'", ["a", "b"])
    guard let start = members["a"]?.number, let perWork = members["b"]?.number, start >= 0, perWork >= 0 else {
        throw wrong("The cost of '\(name)' needs 'a' and 'b': seconds and seconds for each unit of work, at least 0.")
    }
    return Measurements.Cost(start: start, perWork: perWork)
}

// MARK: What goes out

private func answer(of profile: OperationProfile) -> JSON {
    [
        "type": .string(profile.type.rawValue), "op": .text(profile.op), "shape": .sizes(profile.shape),
        "dtype": .string(profile.dtype.name), "elements": .integer(profile.elements),
        "memory_footprint": .integer(profile.memoryFootprint), "work": .number(profile.work),
        "bytes": .integer(profile.bytes),
    ]
}

private func answer(of choice: Choice) -> JSON {
    [
        "device": .string(choice.device.name), "kind": .string(choice.device.kind.rawValue),
        "reason": .string(choice.reason), "basis": .string(choice.basis.rawValue),
        "seconds": choice.seconds.map(JSON.number) ?? .null,
    ]
}

private func answer(of explanation: Explanation, _ object: SelectorObject) -> JSON {
    let choice = explanation.chain.first
    return [
        "profile": answer(of: explanation.profile), "size": .string(explanation.size.rawValue),
        "device": .text(choice?.device.name), "basis": .text(choice?.basis.rawValue),
        "reason": .string(choice?.reason ?? "no device runs it"),
        "chain": .array(explanation.chain.map { .string($0.device.name) }),
        "devices": .array(explanation.candidates.map(answer)),
        "measurements": [
            "path": .text(object.stored.path), "used": .bool(choice?.basis == .measured),
            "measured_at": object.stored.measurements.map { .integer($0.measuredAt) } ?? .null,
            "reason": .text(object.stored.reason),
        ],
    ]
}

private func answer(of candidate: Candidate) -> JSON {
    [
        "name": .string(candidate.device.name), "kind": .string(candidate.device.kind.rawValue),
        "standing": .string(candidate.standing.word), "seconds": candidate.seconds.map(JSON.number) ?? .null,
        "reason": .string(candidate.words),
    ]
}

extension Standing {
    fileprivate var word: String {
        switch self {
        case .eligible: "eligible"
        case .byName: "by name"
        case .refused: "refused"
        case .unavailable: "unavailable"
        }
    }
}

private func answerOfCache(_ action: String, _ device: String?) throws -> JSON {
    let cache = DeviceCache.global
    switch (action, device) {
    case ("warmup", nil): cache.warmup()
    case ("cleanup", nil): return .integer(cache.cleanupExpired())
    case ("stats", nil): break
    case ("available", let name?): return .bool(try cache.isDeviceAvailable(name))
    case ("status", let name?):
        return try answer(of: cache.cachedStatus(known(name).name))
    case ("update", let name?):
        let device = try known(name)
        cache.update(name, device.availability)
        return answer(of: cache.cachedStatus(name))
    default:
        throw wrong(
            "There is no action '\(action)' \(device == nil ? "without" : "with") a device; there are warmup, cleanup "
                + "and stats without one, and available, status and update with one.")
    }
    let stats = cache.getStats()
    return [
        "total_entries": .integer(stats.totalEntries), "valid_entries": .integer(stats.validEntries),
        "available_devices": .integer(stats.availableDevices), "cache_hit_rate": .number(stats.cacheHitRate),
    ]
}

private func known(_ name: String) throws -> any Device {
    let devices = allDevices()
    if let device = devices.first(where: { $0.name == name }) { return device }
    let names = devices.map { "'\($0.name)'" }.joined(separator: ", ")
    throw wrong("There is no device '\(name)'; there are \(names).")
}

private func answer(of status: Availability?) -> JSON {
    switch status {
    case nil: .null
    case .available: ["available": .bool(true), "reason": .null]
    case .unavailable(let reason): ["available": .bool(false), "reason": .string(reason)]
    }
}
