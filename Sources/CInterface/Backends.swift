// Backends, profiles, the log and what is kept on disk.

import CHeader
import Martlet
import ModelFiles

/// A backend by handle.
final class BackendObject: Handled {
    static let kind = HandleKind.backend

    let backend: Backend

    init(_ backend: Backend) { self.backend = backend }
}

/// A recording by handle.
final class RecordingObject: Handled {
    static let kind = HandleKind.recording

    let profile: Profile

    init(_ profile: Profile) { self.profile = profile }
}

// MARK: Backends

@_cdecl("mlt_backend_make")
public func mlt_backend_make(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ config: UnsafePointer<CChar>?)
    -> mlt_status
{
    status {
        try give(out) {
            let json = try config.map { try JSON(parsing: text($0, "configuration")) } ?? .object([])
            let config = try BackendConfig().changed(by: json)
            guard let described = json["devices"] else { return BackendObject(.coreML(config)) }
            guard let list = described.array else { throw Failure(.wrongType, "'devices' must be a list.") }
            return BackendObject(
                Backend(chooser: NamingAbsent(try selector(of: list.map(playedDevice))), config: config))
        }
    }
}

@_cdecl("mlt_backend_config")
public func mlt_backend_config(_ backend: OpaquePointer?, _ config: UnsafePointer<CChar>?) -> mlt_status {
    status {
        let json = try JSON(parsing: text(config, "configuration"))
        guard json["devices"] == nil else {
            throw Failure(.invalidArgument, "The devices of a backend are said when it is made; make another one.")
        }
        try handles.use(backend, as: BackendObject.self) {
            try $0.backend.configure { $0 = try $0.changed(by: json) }
        }
    }
}

@_cdecl("mlt_backend_stats")
public func mlt_backend_stats(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ backend: OpaquePointer?) -> mlt_status {
    status {
        try give(out) {
            try handles.use(backend, as: BackendObject.self) {
                TextObject(answer(of: $0.backend.statistics).description)
            }
        }
    }
}

@_cdecl("mlt_backend_cleanup")
public func mlt_backend_cleanup(_ backend: OpaquePointer?) -> mlt_status {
    status { try handles.use(backend, as: BackendObject.self) { $0.backend.cleanup() } }
}

@_cdecl("mlt_backend_compile")
public func mlt_backend_compile(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ backend: OpaquePointer?, _ model: OpaquePointer?,
    _ function: UnsafePointer<CChar>?
) -> mlt_status {
    status {
        try give(out) {
            let function = try function.map { try text($0, "name of the function") }
            let device = try handles.use(backend, as: BackendObject.self) { $0.backend.device }
            return try handles.use(model, as: ModelObject.self) {
                ExecutableObject(try Predictor($0.model, device: device, function: function))
            }
        }
    }
}

@_cdecl("mlt_backend_profile")
public func mlt_backend_profile(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ backend: OpaquePointer?) -> mlt_status {
    status {
        try give(out) { try handles.use(backend, as: BackendObject.self) { RecordingObject($0.backend.profile) } }
    }
}

/// A selector over played devices alone, which goes by the costs they declare.
private func selector(of devices: [PlayedDevice]) throws -> SmartDeviceSelector {
    guard Set(devices.map(\.name)).count == devices.count else {
        throw Failure(.invalidArgument, "Two devices have one name.")
    }
    return SmartDeviceSelector(
        devices: devices, measurements: Measurements(machine: .this).describing(devices.map(\.described)))
}

// MARK: Profiles

@_cdecl("mlt_profile_begin")
public func mlt_profile_begin(_ out: UnsafeMutablePointer<OpaquePointer?>?) -> mlt_status {
    status {
        let profile = Profile.begin()
        do { try give(out) { RecordingObject(profile) } } catch {
            profile.end()
            throw error
        }
    }
}

@_cdecl("mlt_profile_end")
public func mlt_profile_end(_ recording: OpaquePointer?) -> mlt_status {
    status { try handles.use(recording, as: RecordingObject.self) { $0.profile.end() } }
}

@_cdecl("mlt_profile_read")
public func mlt_profile_read(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ recording: OpaquePointer?) -> mlt_status {
    status {
        try give(out) {
            try handles.use(recording, as: RecordingObject.self) { TextObject(answer(of: $0.profile).description) }
        }
    }
}

@_cdecl("mlt_profile_trace")
public func mlt_profile_trace(_ out: UnsafeMutablePointer<OpaquePointer?>?, _ recording: OpaquePointer?) -> mlt_status {
    status {
        try give(out) { try handles.use(recording, as: RecordingObject.self) { TextObject($0.profile.chromeTrace) } }
    }
}

// MARK: Disk and log

@_cdecl("mlt_disk_cache")
public func mlt_disk_cache(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ action: UnsafePointer<CChar>?, _ kind: UnsafePointer<CChar>?
) -> mlt_status {
    status {
        try give(out) {
            let (action, kind) = (try text(action, "action"), try kind.map(readKind))
            let kept = KeptFiles(in: try .ofUser())
            switch action {
            case "list": return TextObject(answer(of: kept, kept.list(kind)).description)
            case "size": return TextObject(answer(of: kept, sizesOf: kept.list(kind)).description)
            case "clear": return TextObject(answer(of: kept, sizesOf: kept.clear(kind)).description)
            default: throw Failure(.invalidArgument, "The action is '\(action)'; it must be 'list', 'size' or 'clear'.")
            }
        }
    }
}

private func readKind(_ chars: UnsafePointer<CChar>) throws -> KeptFiles.Kind {
    let name = try text(chars, "kind")
    if let kind = KeptFiles.Kind(rawValue: name) { return kind }
    let kinds = KeptFiles.Kind.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
    throw Failure(.invalidArgument, "The kind is '\(name)'; it must be one of \(kinds).")
}

public typealias LogCallback = @convention(c) (Int32, UnsafePointer<CChar>?, UnsafeMutableRawPointer?) -> Void

@_cdecl("mlt_set_log")
public func mlt_set_log(_ callback: LogCallback?, _ context: UnsafeMutableRawPointer?, _ level: Int32) -> mlt_status {
    status {
        let wanted = Log.Level(rawValue: level)
        guard wanted != nil || level == -1 else {
            throw Failure(.invalidArgument, "The log level is \(level); it must be one of 0 to 4, or -1.")
        }
        guard let callback else { return Log.send(to: nil, level: wanted) }
        let place = UInt(bitPattern: context)
        Log.send(
            to: { level, message in
                message.withCString { callback(level.rawValue, $0, UnsafeMutableRawPointer(bitPattern: place)) }
            }, level: wanted)
    }
}

// MARK: What the caller writes

extension BackendConfig {
    /// The configuration with the members of an object in place of what they name.
    fileprivate func changed(by json: JSON) throws -> BackendConfig {
        guard let members = json.members else {
            throw Failure(.malformed, "The configuration is no JSON object.")
        }
        var config = self
        for member in members {
            switch member.name {
            case "enable_caching": config.enableCaching = try member.bool
            case "max_cache_size": config.maxCacheSize = try member.integer
            case "max_cache_bytes": config.maxCacheBytes = try member.integer
            case "auto_fallback": config.autoFallback = try member.bool
            case "enable_profiling": config.enableProfiling = try member.bool
            case "fallback": config.fallbackMode = try member.choice()
            case "devices": break
            case let name: throw Failure(.invalidArgument, "There is no setting '\(name)' of a backend.")
            }
        }
        try config.check()
        return config
    }
}

/// A device as `mlt_backend_make` takes it: a described one with how it behaves, played by the CPU.
private func playedDevice(_ json: JSON) throws -> PlayedDevice {
    var (latency, keeps) = (0.0, false)
    var fails: PlayedDevice.Fault?
    var description: [JSON.Member] = []
    for member in json.members ?? [] {
        switch member.name {
        case "fails": fails = try member.choice()
        case "latency_ms": latency = try member.number
        case "keeps": keeps = try member.bool
        default: description.append(member)
        }
    }
    guard latency >= 0, latency <= 60_000 else {
        throw Failure(.invalidArgument, "The latency is \(latency) ms; it must be 0 to 60000.")
    }
    return PlayedDevice(
        try readDescription(.object(description)), by: try Martlet.device(named: "cpu"), fails: fails,
        latencyNanoseconds: Int(latency * 1e6), keeps: keeps)
}

extension JSON.Member {
    fileprivate func wrong(_ wanted: String) -> Failure {
        Failure(.wrongType, "'\(name)' is \(value); it must be \(wanted).")
    }

    fileprivate var bool: Bool {
        get throws {
            guard let value = value.bool else { throw wrong("true or false") }
            return value
        }
    }

    fileprivate var integer: Int {
        get throws {
            guard let value = value.integer else { throw wrong("an integer") }
            return value
        }
    }

    fileprivate var number: Double {
        get throws {
            guard let value = value.number else { throw wrong("a number") }
            return value
        }
    }

    fileprivate var text: String {
        get throws {
            guard let text = value.string else { throw wrong("a text") }
            return text
        }
    }

    /// One of the words of a type.
    fileprivate func choice<Choice: RawRepresentable & CaseIterable>() throws -> Choice
    where Choice.RawValue == String {
        let words = Choice.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        guard let choice = Choice(rawValue: try text) else {
            throw Failure(.invalidArgument, "'\(name)' is \(value); it must be one of \(words).")
        }
        return choice
    }
}

// MARK: Answers

private func answer(of statistics: Statistics) -> JSON {
    let fallbacks = statistics.fallbacks.sorted { $0.key < $1.key }.map { device, reasons in
        JSON.Member(device, .object(reasons.sorted { $0.key < $1.key }.map { .init($0.key, .integer($0.value)) }))
    }
    return [
        "total_operations": .integer(statistics.totalOperations), "cache_hits": .integer(statistics.cacheHits),
        "cache_misses": .integer(statistics.cacheMisses),
        "fallback_operations": .integer(statistics.fallbackOperations), "fallbacks": .object(fallbacks),
        "average_execution_time_ms": .number(statistics.averageExecutionTimeMs),
        "cache_entries": .integer(statistics.cacheEntries), "cache_bytes": .integer(statistics.cacheBytes),
    ]
}

private func answer(of profile: Profile) -> JSON {
    func whole(_ nanoseconds: UInt64) -> JSON { .integer(Int(clamping: nanoseconds)) }
    let runs = profile.runs.map { run -> JSON in
        [
            "function": .string(run.function), "device": .string(run.device), "reason": .string(run.reason),
            "start_ns": whole(run.start), "duration_ns": whole(run.duration), "thread": .integer(run.thread),
        ]
    }
    let steps = profile.steps.map { step -> JSON in
        [
            "run": .integer(step.run), "ops": .array(step.ops.map(JSON.string)), "output": .string(step.output),
            "type": .string(step.type), "device": .string(step.device), "kernel": .string(step.kernel),
            "reason": .string(step.reason), "start_ns": whole(step.start), "duration_ns": whole(step.duration),
            "bytes": .integer(step.bytes), "thread": .integer(step.thread),
        ]
    }
    return [
        "duration_ns": whole(profile.duration), "is_ended": .bool(profile.isEnded),
        "dropped": .integer(profile.dropped), "runs": .array(runs),
        "steps": .array(steps),
    ]
}

private func answer(of kept: KeptFiles, _ items: [KeptFiles.Item]) -> JSON {
    [
        "folder": .string(kept.folder.path),
        "entries": .array(
            items.map {
                [
                    "kind": .string($0.kind.rawValue), "name": .string($0.name), "path": .string($0.path),
                    "bytes": .integer($0.bytes), "time": .number(Double($0.time) / 1e9),
                ]
            }),
    ]
}

private func answer(of kept: KeptFiles, sizesOf items: [KeptFiles.Item]) -> JSON {
    func sizes(_ items: [KeptFiles.Item]) -> [JSON.Member] {
        [
            JSON.Member("entries", .integer(items.count)),
            JSON.Member("bytes", .integer(items.reduce(0) { $0 + $1.bytes })),
        ]
    }
    let kinds = KeptFiles.Kind.allCases.map { kind in
        JSON.Member(kind.rawValue, .object(sizes(items.filter { $0.kind == kind })))
    }
    return .object(
        [JSON.Member("folder", .string(kept.folder.path))] + sizes(items) + [
            JSON.Member("kinds", .object(kinds)),
            JSON.Member("max_compiled_entries", .integer(kept.compiled.maxEntries)),
            JSON.Member("max_compiled_bytes", .integer(kept.compiled.maxBytes)),
        ])
}
