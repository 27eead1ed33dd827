import MIL
import Synchronization

/// One run of a kernel: threadgroups, taken some at a time by several system threads.
final class GroupRun: @unchecked Sendable {
    private let entry: Image.Entry
    private let group: GridSize
    private let groups: GridSize
    private let threads: GridSize
    private let buffers: [Int: UnsafeMutableRawPointer]
    private let memory: [Int: Int]
    /// The number of the next group, and from the second word on what failed; written by all threads.
    private let shared = UnsafeMutablePointer<Int>.allocate(capacity: GroupRun.sharedWords)
    private static let sharedWords = 32

    init(
        _ entry: Image.Entry, grid: GridSize, countsThreads: Bool, group: GridSize,
        _ buffers: [Int: UnsafeMutableRawPointer], _ memory: [Int: Int]
    ) {
        func parts(_ size: Int, _ part: Int) -> Int { countsThreads ? (size + part - 1) / part : size }
        func whole(_ size: Int, _ part: Int) -> Int { countsThreads ? size : size * part }
        self.entry = entry
        self.group = group
        groups = GridSize(parts(grid.x, group.x), parts(grid.y, group.y), parts(grid.z, group.z))
        threads = GridSize(whole(grid.x, group.x), whole(grid.y, group.y), whole(grid.z, group.z))
        self.buffers = buffers
        self.memory = memory
        shared.initialize(repeating: 0, count: GroupRun.sharedWords)
    }

    deinit { shared.deallocate() }

    /// Work of fewer threads than these is not worth a system thread more.
    private var share: Int { entry.waits ? 1 << 11 : 1 << 15 }

    func run(_ concurrency: Int) throws {
        let total = groups.count ?? 0
        let worth = (threads.count ?? 0) / share + 1
        let count = max(min(concurrency, total, worth, 64), 1)
        if entry.waits {
            let stacks = try Stacks.take(count)
            defer { Stacks.give(stacks) }
            for each in stacks { try each.prepare(group.count ?? 0) }
            withThreads(stacks.count) { self.work(stacks[$0]) }
        } else {
            withThreads(count) { _ in self.work(nil) }
        }
        if shared[1] != 0 { throw divergence }
    }

    /// What one system thread does. The words are those of `mk::Launch` and `mk::Worker`.
    private func work(_ stacks: Stacks?) {
        let size = memory.values.reduce(16) { $0 + ($1 + 15) & ~15 }
        let own = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
        defer { own.deallocate() }
        var bound = [UnsafeMutableRawPointer?](repeating: nil, count: 64)
        for (index, pointer) in buffers { bound[index] = pointer }
        var offset = 0
        for (index, bytes) in memory {
            bound[32 + index] = own + offset
            offset += (bytes + 15) & ~15
        }
        bound.withUnsafeMutableBufferPointer { bound in
            let launch = [
                groups.x, groups.y, groups.z, group.x, group.y, group.z, threads.x, threads.y, threads.z,
                Int(bitPattern: bound.baseAddress), Int(bitPattern: shared), Int(bitPattern: shared + 1),
                groups.count ?? 0,
            ]
            let worker = [
                Int(bitPattern: stacks?.first), Stacks.stride, stacks?.bytes ?? 0, Int(bitPattern: stacks?.scheduler),
            ]
            launch.withUnsafeBufferPointer { launch in
                worker.withUnsafeBufferPointer { worker in
                    guard let launch = launch.baseAddress, let worker = worker.baseAddress else { return }
                    entry.run(launch, worker)
                }
            }
        }
    }

    /// Who did not come to the barrier where others wait.
    private var divergence: Failure {
        let words = (0..<9).map { shared[3 + $0] }
        let place = GridSize(words[0], words[1], words[2])
        let (waiting, odd) = (position(words[3], in: place), position(words[5], in: place))
        let other = words[6] == 0 ? "has ended" : "waits at line \(words[6])"
        return Failure(
            .callback,
            "The kernel '\(entry.name)': the threads of threadgroup \(place) do not meet at one barrier: thread \(waiting) "
                + "waits at line \(words[4]), with \(words[7]) of \(words[8]) threads, while thread \(odd) \(other). Every "
                + "thread of a group must come to the same barrier.")
    }

    /// The position in its group of a thread by its number.
    private func position(_ index: Int, in place: GridSize) -> GridSize {
        let x = min(group.x, threads.x - place.x * group.x)
        let y = min(group.y, threads.y - place.y * group.y)
        return GridSize(index % max(x, 1), index / max(x, 1) % max(y, 1), index / max(x * y, 1))
    }
}
