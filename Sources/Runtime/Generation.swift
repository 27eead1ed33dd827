import Synchronization

/// How often anything that decides where operations run has changed: settings, measurements, pins. Code that keeps an
/// answer of a selector or a backend keeps this number with it, and asks again when the number has grown.
public enum Generation {
    private static let number = Atomic<UInt64>(0)

    public static var current: UInt64 { number.load(ordering: .relaxed) }

    /// Makes every kept answer out of date.
    public static func advance() { number.wrappingAdd(1, ordering: .relaxed) }
}
