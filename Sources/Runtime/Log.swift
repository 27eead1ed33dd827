import Synchronization

/// What the runtime tells about its work: compilations, fallbacks, evictions, cache entries it ignored. Lines go to the
/// error stream until `Log.send` gives them another place. `MARTLET_LOG` (debug, info, warning, error, off) sets how much is
/// told at the start; without it, warnings and errors are.
public enum Log {
    /// How important a line is; raw values are those of `martlet.h`.
    public enum Level: Int32, Sendable, Hashable, Comparable, CaseIterable {
        case off = 0
        case error, warning, info, debug

        public var name: String { Level.names[Int(rawValue)] }
        private static let names = ["off", "error", "warning", "info", "debug"]

        public init?(name: String) {
            guard let index = Level.names.firstIndex(of: name.lowercased()) else { return nil }
            self.init(rawValue: Int32(index))
        }

        public static func < (a: Level, b: Level) -> Bool { a.rawValue < b.rawValue }
    }

    public typealias Sink = @Sendable (_ level: Level, _ message: String) -> Void

    private static let sink = Mutex<Sink?>(nil)
    private static let limit = Atomic<Int32>(initial.rawValue)
    private static var initial: Level { System.environment("MARTLET_LOG").flatMap(Level.init) ?? .warning }

    /// The least important level that is told.
    public static var level: Level { Level(rawValue: limit.load(ordering: .relaxed)) ?? .warning }

    /// Sends lines up to a level to `sink`, which may be called from any thread; nil sends them to the error stream. No
    /// level takes the one of `MARTLET_LOG`.
    public static func send(to sink: Sink?, level: Level? = nil) {
        self.sink.withLock { $0 = sink }
        limit.store((level ?? initial).rawValue, ordering: .relaxed)
    }

    /// Tells a line. The message is made only where it is wanted; never call this while holding a lock that a sink may want.
    public static func write(_ level: Level, _ message: @autoclosure () -> String) {
        guard level != .off, level.rawValue <= limit.load(ordering: .relaxed) else { return }
        let text = message()
        if let sink = sink.withLock({ $0 }) {
            sink(level, text)
        } else {
            System.complain("martlet: \(level.name): \(text)")
        }
    }
}
