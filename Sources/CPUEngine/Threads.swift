import CKernels
import Synchronization

/// How many threads a run uses: one number for the process, taken up by each calling thread when it next runs.
public enum Threads {
    private static let wanted = Atomic<Int>(0)

    /// Sets the number; 0 takes every processor this process may use.
    public static func set(_ count: Int) { wanted.store(count, ordering: .relaxed) }

    /// The number in force.
    public static var count: Int {
        let count = wanted.load(ordering: .relaxed)
        return count > 0 ? count : Int(mk_processors())
    }

    /// Makes the number valid for the calling thread and returns it.
    static func prepare() -> Int {
        let count = count
        mk_set_threads(Int32(count))
        return count
    }
}
