import MIL

/// Kernels in the Metal Shading Language, compiled for the CPU by the machine's clang. Safe to share between threads.
public final class KernelLibrary: Sendable {
    /// The names of the kernels, in the order of the source.
    public let functionNames: [String]
    private let functions: [String: KernelFunction]

    /// Compiles a source. `macros` are defined before it. With a cache folder, the shared object is kept there by content
    /// and found again by other processes; without one it lies in a temporary folder.
    ///
    /// `unsupported` where no clang is found or the source uses what the CPU does not have, `malformed` with clang's words
    /// and the source's lines where it is wrong.
    public init(source: String, macros: [String: String] = [:], cacheFolder: String? = KernelLibrary.cacheFolder) throws
    {
        throw Failure(.unsupported, "MSL does not run on the CPU yet.")
    }

    public func function(named name: String) -> KernelFunction? { functions[name] }

    /// `msl` in the folder that the environment's `MARTLET_CACHE` names; nil without it.
    public static var cacheFolder: String? { nil }
}

/// One kernel of a library. Safe to run from several threads at once.
public final class KernelFunction: Sendable {
    /// What an argument of the kernel is bound to.
    public struct Argument: Sendable, Hashable {
        public enum Kind: Sendable, Hashable {
            /// A pointer or reference to memory of the caller's.
            case buffer(isConstantSpace: Bool, isConst: Bool)
            /// A pointer to memory that the threads of a group share, its size given at each run.
            case threadgroup
        }
        public let name: String
        public let index: Int
        public let kind: Kind
        /// The element type behind the pointer, where it is one that tensors have.
        public let elementType: DataType?
    }

    public let name: String
    public let arguments: [Argument]
    /// Bytes that the kernel's own `threadgroup` variables take.
    public let staticThreadgroupMemoryLength: Int
    public let maxTotalThreadsPerThreadgroup: Int
    public let threadExecutionWidth = 32

    init(name: String) {
        (self.name, arguments, staticThreadgroupMemoryLength) = (name, [], 0)
        maxTotalThreadsPerThreadgroup = MetalKernel.mostThreads
    }

    /// Runs the kernel over a grid of threads (groups at the edge are smaller) or of whole threadgroups, and returns when
    /// all have ended.
    ///
    /// - Parameters:
    ///   - buffers: where each `[[buffer(i)]]` begins. What the kernel does beyond their ends nobody checks.
    ///   - threadgroupMemory: bytes for each `[[threadgroup(i)]]`.
    ///   - concurrency: how many system threads may take part; 0 for all processors.
    ///
    /// `invalidArgument` for a missing buffer or a size beyond the limits, `callback` for threads of a group that wait at
    /// different barriers or end without the one others wait at.
    public func run(
        grid: GridSize, countsThreads: Bool, threadgroup: GridSize, buffers: [Int: UnsafeMutableRawPointer],
        threadgroupMemory: [Int: Int] = [:], concurrency: Int = 0
    ) throws {
        throw Failure(.unsupported, "MSL does not run on the CPU yet.")
    }
}
