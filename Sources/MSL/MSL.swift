import MIL
import Runtime

/// Kernels in the Metal Shading Language, compiled for the CPU by the machine's clang. Safe to share between threads.
///
/// What differs from a GPU: sums are rounded after each operation, nothing is fused, integers wrap around, atomics keep all
/// orders; threads of a group run one after the other between barriers. Reads and writes beyond a buffer are as
/// undefined as there, and are not detected.
public final class KernelLibrary: Sendable {
    /// The names of the kernels, in the order of the source.
    public let functionNames: [String]
    private let functions: [String: KernelFunction]

    /// Compiles a source. `macros` are defined before it. The cache keeps what was compiled by content, for other
    /// processes too; without one it lies in a temporary folder.
    ///
    /// `unsupported` where no clang is found or the source uses what the CPU does not have (textures, simdgroup
    /// matrices, function constants), `malformed` with clang's words and the source's lines where it is wrong.
    public init(source: String, macros: [String: String] = [:], keeping cache: DiskCache? = .standard) throws {
        #if os(Linux) || os(macOS)
            let image = try Image.of(source, macros, cache)
            let all = image.entries.map { KernelFunction($0, of: image) }
            functionNames = all.map(\.name)
            functions = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        #else
            throw Failure(
                .unsupported,
                "On this system, kernels in Metal's language run by Metal only: programs may not compile code.")
        #endif
    }

    /// The kernel of a name; nil where the source has none.
    public func function(named name: String) -> KernelFunction? { functions[name] }
}

/// One kernel of a library. Safe to run from several threads at once.
public final class KernelFunction: Sendable {
    /// What an argument of the kernel is bound to. Positions of threads are not among the arguments.
    public struct Argument: Sendable, Hashable {
        public enum Kind: Sendable, Hashable {
            /// A pointer or reference to memory of the caller's: whether in the constant space, and whether only read.
            case buffer(isConstantSpace: Bool, isConst: Bool)
            /// A pointer to memory that the threads of a group share, its size given at each run.
            case threadgroup
        }
        public let name: String
        public let index: Int
        public let kind: Kind
        /// The type of the elements, or of a vector's, behind the pointer; nil for structures.
        public let elementType: DataType?
    }

    public let name: String
    public let arguments: [Argument]
    /// Bytes that the kernel's own `threadgroup` variables take.
    public let staticThreadgroupMemoryLength: Int
    public let maxTotalThreadsPerThreadgroup: Int
    public let threadExecutionWidth = 32
    /// Whether threads wait for each other, so that each has a stack of its own.
    let waits: Bool
    private let entry: Image.Entry
    private let image: Image

    init(_ entry: Image.Entry, of image: Image) {
        name = entry.name
        arguments = entry.arguments
        staticThreadgroupMemoryLength = entry.memory
        maxTotalThreadsPerThreadgroup = min(entry.mostThreads, MetalKernel.mostThreads)
        waits = entry.waits
        self.entry = entry
        self.image = image
    }

    /// Runs the kernel over a grid of threads (groups at the edge are smaller) or of whole threadgroups, and returns when
    /// all have ended.
    ///
    /// - Parameters:
    ///   - buffers: where each `[[buffer(i)]]` begins. Accesses beyond their ends are not checked.
    ///   - threadgroupMemory: bytes for each `[[threadgroup(i)]]`.
    ///   - concurrency: how many system threads may take part; 0 for all processors.
    ///
    /// `invalidArgument` for a missing buffer or a size beyond the limits, `callback` for threads of a group that wait at
    /// different barriers or end without the one others wait at.
    public func run(
        grid: GridSize, countsThreads: Bool, threadgroup: GridSize, buffers: [Int: UnsafeMutableRawPointer],
        threadgroupMemory: [Int: Int] = [:], concurrency: Int = 0
    ) throws {
        try check(grid, threadgroup, buffers, threadgroupMemory)
        guard grid.count != 0 else { return }
        let run = GroupRun(
            entry, grid: grid, countsThreads: countsThreads, group: threadgroup, buffers, threadgroupMemory)
        try run.run(concurrency > 0 ? concurrency : System.processors)
        withExtendedLifetime(image) {}
    }

    private func wrong(_ what: String) -> Failure { Failure(.invalidArgument, "The kernel '\(name)': \(what).") }

    private func check(
        _ grid: GridSize, _ group: GridSize, _ buffers: [Int: UnsafeMutableRawPointer], _ memory: [Int: Int]
    ) throws {
        guard let threads = group.count, min(group.x, group.y, group.z) > 0, threads <= maxTotalThreadsPerThreadgroup
        else { throw wrong("a threadgroup of \(group) threads; it may have 1 to \(maxTotalThreadsPerThreadgroup)") }
        let largest = Int(UInt32.max)
        guard let all = grid.count, max(grid.x, grid.y, grid.z) <= largest, all <= Int.max / 2048 else {
            throw wrong(
                "a grid of \(grid); its sizes must be 0 to \(largest), their product no more than a number holds")
        }
        for argument in arguments {
            switch argument.kind {
            case .buffer where buffers[argument.index] == nil:
                throw wrong("no buffer is bound to '\(argument.name)' at index \(argument.index)")
            case .threadgroup where (memory[argument.index] ?? 0) <= 0:
                throw wrong("no threadgroup memory is given to '\(argument.name)' at index \(argument.index)")
            default: break
            }
        }
        guard buffers.keys.allSatisfy((0..<32).contains), memory.keys.allSatisfy((0..<31).contains),
            memory.values.allSatisfy({ (0...MetalKernel.mostMemory).contains($0) })
        else { throw wrong("buffers have indices 0 to 30") }
        let bytes = memory.values.reduce(staticThreadgroupMemoryLength) { $0 + ($1 + 15) & ~15 }
        guard bytes <= MetalKernel.mostMemory else {
            throw wrong("\(bytes) bytes of threadgroup memory; there are \(MetalKernel.mostMemory)")
        }
    }
}
