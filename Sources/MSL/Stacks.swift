import MIL
import Runtime
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Memory for the threads of one threadgroup that wait for each other: a stack each, with a guard page in front, and
/// what schedules them. Kept for the next run; their number is limited.
final class Stacks: @unchecked Sendable {
    /// Bytes from one stack to the next, and those of the variables a kernel may have there.
    static let stride = 128 << 10
    static let largestFrame = 48 << 10
    private static let head = 256 << 10

    private let base: UnsafeMutableRawPointer
    /// How many stacks may be used; only one run has this object at a time.
    private var ready = 0

    private static var size: Int { head + MetalKernel.mostThreads * stride }

    private init?() {
        #if canImport(Darwin)
            let flags = MAP_PRIVATE | MAP_ANON
        #else
            let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        #endif
        guard let base = mmap(nil, Stacks.size, PROT_NONE, flags, -1, 0), base != MAP_FAILED else { return nil }
        self.base = base
        guard mprotect(base, Stacks.head, PROT_READ | PROT_WRITE) == 0 else {
            munmap(base, Stacks.size)
            return nil
        }
    }

    deinit { munmap(base, Stacks.size) }

    var scheduler: UnsafeMutableRawPointer { base }

    /// Where the usable part of the first stack begins, and its bytes.
    var first: UnsafeMutableRawPointer { base + Stacks.head + System.pageSize }
    var bytes: Int { Stacks.stride - System.pageSize }

    /// Makes that many stacks usable.
    func prepare(_ count: Int) throws {
        while ready < count {
            guard mprotect(first + ready * Stacks.stride, bytes, PROT_READ | PROT_WRITE) == 0 else {
                throw Failure(.outOfMemory, "There is no room for the stacks of \(count) threads: \(System.lastError).")
            }
            ready += 1
        }
    }

    // MARK: The pool

    private struct Pool {
        var free: [Stacks] = []
        var made = 0
    }
    private static let pool = Mutex(Pool())
    /// So many threadgroups run at a time, in all of the process.
    private static let most = min(max(System.processors, 2), 16)

    private enum Turn {
        case found(Stacks), mayMake, none
    }

    /// One for each of up to `count` threads: at least one, waiting for it where others have all.
    static func take(_ count: Int) throws -> [Stacks] {
        var taken: [Stacks] = []
        while taken.count < count {
            let turn = pool.withLock { pool -> Turn in
                if let last = pool.free.popLast() { return .found(last) }
                guard pool.made < most else { return .none }
                pool.made += 1
                return .mayMake
            }
            switch turn {
            case .found(let stacks): taken.append(stacks)
            case .mayMake:
                guard let stacks = Stacks() else {
                    pool.withLock { $0.made -= 1 }
                    if !taken.isEmpty { return taken }
                    throw Failure(.outOfMemory, "There is no room for a threadgroup's stacks: \(System.lastError).")
                }
                taken.append(stacks)
            case .none:
                if !taken.isEmpty { return taken }
                usleep(200)
            }
        }
        return taken
    }

    static func give(_ back: [Stacks]) { pool.withLock { $0.free += back } }
}
