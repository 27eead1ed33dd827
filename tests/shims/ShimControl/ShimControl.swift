import Foundation

/// What the stand-ins do besides working: the hostile mode, and faults on demand. Tests set it through the environment or
/// through `shim_control`, which the shared library exports.
public enum ShimControl {
    private static let lock = NSLock()
    private nonisolated(unsafe) static var settings: [String: Int] = [:]

    /// Whether everything that Apple's frameworks may do is done: padded strides, refused backings, other orders, delays.
    public static var isHostile: Bool { (value("hostile") ?? environment("MARTLET_SHIMS_HOSTILE")) != 0 }

    /// A setting by name; nil if it is not set.
    public static func value(_ name: String) -> Int? { lock.withLock { settings[name] } }

    /// Sets a setting, or takes it back with nil.
    public static func set(_ name: String, _ value: Int?) { lock.withLock { settings[name] = value } }

    /// Whether a fault that was ordered some number of times strikes now; counts down.
    public static func strikes(_ fault: String) -> Bool {
        lock.withLock {
            guard let left = settings[fault], left > 0 else { return false }
            settings[fault] = left - 1
            return true
        }
    }

    /// Counts how often something happened, for tests to read.
    public static func count(_ event: String) { lock.withLock { settings[event, default: 0] += 1 } }

    private static func environment(_ name: String) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? 0
    }
}

/// Sets a setting of the stand-ins; a negative value takes it back.
@_cdecl("shim_control")
public func shimControl(_ name: UnsafePointer<CChar>, _ value: Int) {
    ShimControl.set(String(cString: name), value < 0 ? nil : value)
}

/// Reads a setting or counter of the stand-ins; 0 if it is not set.
@_cdecl("shim_value")
public func shimValue(_ name: UnsafePointer<CChar>) -> Int { ShimControl.value(String(cString: name)) ?? 0 }
