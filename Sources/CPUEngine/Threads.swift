import CKernels
import MIL
import Synchronization

/// How many threads a run uses: one number for the process, taken up by each calling thread when it next runs.
public enum Threads {
    private static let wanted = Atomic<Int>(0)

    /// More than these only get in each other's way, and each needs room of its own.
    public static let most = 256

    /// Sets the number; 0 takes every processor this process may use.
    public static func set(_ count: Int) throws {
        guard (0...most).contains(count) else {
            throw Failure(
                .invalidArgument,
                "\(count) threads are not possible; 0 takes every processor, else 1 to \(most) are.")
        }
        wanted.store(count, ordering: .relaxed)
    }

    /// The number in force.
    public static var count: Int {
        let count = wanted.load(ordering: .relaxed)
        return count > 0 ? count : min(Int(mk_processors()), most)
    }

    /// Makes the number, or the one that a device fixes, valid for the calling thread and returns it.
    static func prepare(_ fixed: Int?) -> Int {
        let count = fixed ?? count
        take(count)
        return count
    }

    /// Makes a number valid for the calling thread.
    static func take(_ count: Int) { mk_set_threads(Int32(count)) }
}
