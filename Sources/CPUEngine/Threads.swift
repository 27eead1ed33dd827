import CKernels
import MIL
import Runtime
import Synchronization

/// How many threads a prediction uses: one number for the process, which each thread takes up when it next runs a model.
public enum Threads {
    private static let wanted = Atomic<Int>(0)

    /// More threads than this only get in each other's way, and each needs memory of its own.
    public static let most = 256

    /// Sets the number of threads of the process.
    ///
    /// - Parameter count: 1 to 256, or 0 for the number of the environment, else of the processors.
    /// - Throws: `invalidArgument` for another number.
    public static func set(_ count: Int) throws {
        try check(count)
        wanted.store(count, ordering: .relaxed)
    }

    /// Fails unless a number is one that a process or a model can have: 1 to 256, or 0 for the usual one.
    public static func check(_ count: Int) throws {
        guard (0...most).contains(count) else {
            throw Failure(
                .invalidArgument,
                "\(count) threads are not possible; 0 takes every processor, else 1 to \(most) are.")
        }
    }

    /// The number in force.
    public static var count: Int {
        let count = wanted.load(ordering: .relaxed)
        return count > 0 ? count : initial
    }

    /// The number of `MARTLET_NUM_THREADS`, else of `OMP_NUM_THREADS`, else of the processors this process may use.
    private static let initial =
        ["MARTLET_NUM_THREADS", "OMP_NUM_THREADS"].lazy.compactMap(number).first
        ?? min(Int(mk_processors()), most)

    /// The number of an environment variable; OpenMP allows a list, of which the first number counts here.
    private static func number(of variable: String) -> Int? {
        guard let text = System.environment(variable) else { return nil }
        let first = text.split(separator: ",").first.map { $0.drop { $0 == " " } } ?? ""
        if let count = Int(first), (1...most).contains(count) { return count }
        Log.write(.warning, "\(variable) is '\(text)', which is ignored: it must be an integer from 1 to \(most).")
        return nil
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
