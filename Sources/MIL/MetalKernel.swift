/// Three numbers of threads or threadgroups, by x, y and z.
public struct GridSize: Sendable, Hashable, CustomStringConvertible {
    public var x, y, z: Int

    public init(_ x: Int, _ y: Int = 1, _ z: Int = 1) { (self.x, self.y, self.z) = (x, y, z) }

    public var description: String { "(\(x), \(y), \(z))" }

    /// x · y · z; nil if the product overflows or one of them is negative.
    public var count: Int? {
        guard min(x, y, z) >= 0 else { return nil }
        let (plane, isTooLarge) = x.multipliedReportingOverflow(by: y)
        let (count, overflow) = plane.multipliedReportingOverflow(by: z)
        return isTooLarge || overflow ? nil : count
    }
}

/// A kernel in the Metal Shading Language as the work of a custom op: its source, what its buffers are, and how many
/// threads run it. Metal compiles it for the GPU, the module `MSL` for the CPU.
public struct MetalKernel: Sendable, Hashable {
    /// What is bound to a buffer index.
    public enum Buffer: Sendable, Hashable {
        /// A parameter of the op: a tensor's elements, or a constant's by value.
        case input(String)
        /// The elements of an output, by its number.
        case output(Int)
        /// A number that follows from shapes, by value as a `uint`, under a name.
        case size(String, Extent)
    }

    /// The whole text of the kernel, with `kernel void name(...)`.
    public let source: String
    /// The kernel's name in the source.
    public let function: String
    /// `buffers[i]` is bound to `[[buffer(i)]]`.
    public let buffers: [Buffer]
    /// Names by which extents call the outputs, one each.
    public let outputNames: [String]
    /// Three extents: threads, or threadgroups, of the whole grid.
    public let grid: [Extent]
    /// Three extents: threads of a threadgroup.
    public let threadgroup: [Extent]
    /// Whether `grid` counts threads, so that groups at the edge may be smaller; else it counts threadgroups.
    public let countsThreads: Bool
    /// Bytes of memory bound to `[[threadgroup(i)]]`, by index.
    public let memory: [Int: Extent]

    /// What a threadgroup may hold at most, on every GPU of Apple's.
    public static let mostThreads = 1024
    public static let mostMemory = 32 << 10

    /// `grid` and `threadgroup` have one to three extents each; those left out are 1. `invalidArgument` where they have
    /// another number, or a name is missing or there twice.
    public init(
        source: String, function: String, buffers: [Buffer], outputNames: [String], grid: [Extent],
        threadgroup: [Extent], countsThreads: Bool = true, memory: [Int: Extent] = [:]
    ) throws {
        func three(_ extents: [Extent], _ what: String) throws -> [Extent] {
            guard (1...3).contains(extents.count) else {
                throw Failure(
                    .invalidArgument,
                    "The \(what) of the kernel '\(function)' has \(extents.count) sizes; it must have 1 to 3.")
            }
            return extents + Array(repeating: Extent(1), count: 3 - extents.count)
        }
        self.source = source
        self.function = function
        self.buffers = buffers
        self.outputNames = outputNames
        self.grid = try three(grid, "grid")
        self.threadgroup = try three(threadgroup, "threadgroup")
        self.countsThreads = countsThreads
        self.memory = memory
        guard buffers.count <= 31, memory.keys.allSatisfy({ (0..<31).contains($0) }) else {
            throw Failure(.invalidArgument, "The kernel '\(function)' has more than the 31 buffers that Metal binds.")
        }
        let names = outputNames + buffers.compactMap(\.name)
        guard Set(names).count == names.count else {
            throw Failure(.invalidArgument, "The kernel '\(function)' has two inputs, outputs or sizes of one name.")
        }
    }

    /// How one call runs: everything that followed from shapes, as numbers.
    public struct Launch: Sendable, Hashable {
        /// Threads or threadgroups; nothing is to run where one is 0.
        public let grid: GridSize
        public let countsThreads: Bool
        public let threadgroup: GridSize
        /// Bytes by `[[threadgroup(i)]]`, multiples of 16.
        public let memory: [Int: Int]
        /// What is bound by value as a `uint`, by buffer index.
        public let sizes: [Int: UInt32]

        public var isEmpty: Bool { grid.count == 0 }
    }

    /// The launch for these shapes: `scope` knows the inputs and integer constants by parameter; outputs are added
    /// here. `invalidArgument` for numbers beyond what a threadgroup or grid may have.
    public func launch(_ outputs: [TensorType], in scope: Extent.Scope) throws -> Launch {
        var scope = scope
        for (name, type) in zip(outputNames, outputs) { scope.types[name] = type }
        var sizes: [Int: UInt32] = [:]
        for (index, buffer) in buffers.enumerated() {
            guard case .size(let name, let extent) = buffer else { continue }
            let value = try extent.value(in: scope)
            guard let size = UInt32(exactly: value) else {
                throw wrong("'\(extent)' is \(value), which no uint holds")
            }
            (sizes[index], scope.integers[name]) = (size, value)
        }
        return Launch(
            grid: try size(grid, scope, "grid", least: 0), countsThreads: countsThreads,
            threadgroup: try groupSize(scope), memory: try memorySizes(scope), sizes: sizes)
    }

    private func wrong(_ what: String) -> Failure { Failure(.invalidArgument, "The kernel '\(function)': \(what).") }

    private func size(_ extents: [Extent], _ scope: Extent.Scope, _ what: String, least: Int) throws -> GridSize {
        let values = try extents.map { try $0.value(in: scope) }
        let size = GridSize(values[0], values[1], values[2])
        guard values.allSatisfy({ $0 >= least && $0 <= Int(UInt32.max) }), size.count != nil else {
            throw wrong("the \(what) is \(size); its sizes must be \(least) or more, and no more than a uint holds")
        }
        return size
    }

    private func groupSize(_ scope: Extent.Scope) throws -> GridSize {
        let size = try size(threadgroup, scope, "threadgroup", least: 1)
        guard let count = size.count, count <= MetalKernel.mostThreads else {
            throw wrong(
                "a threadgroup of \(size) has more than \(MetalKernel.mostThreads) threads, the most Metal allows")
        }
        return size
    }

    private func memorySizes(_ scope: Extent.Scope) throws -> [Int: Int] {
        var total = 0
        let sizes = try memory.mapValues { extent in
            let bytes = try extent.value(in: scope)
            guard (1...MetalKernel.mostMemory).contains(bytes) else {
                throw wrong("\(bytes) bytes of threadgroup memory; it may be 1 to \(MetalKernel.mostMemory)")
            }
            total += (bytes + 15) & ~15
            return (bytes + 15) & ~15
        }
        guard total <= MetalKernel.mostMemory else {
            throw wrong("\(total) bytes of threadgroup memory; all together may be \(MetalKernel.mostMemory)")
        }
        return sizes
    }
}

extension MetalKernel.Buffer {
    fileprivate var name: String? {
        switch self {
        case .input(let name), .size(let name, _): name
        case .output: nil
        }
    }
}

extension MetalKernel {
    /// Refuses a kernel that does not fit the parameters and the outputs of its op.
    public func check(_ parameters: [Op.Parameter], outputs: Int) throws {
        guard !parameters.contains(where: \.isList) else { throw wrong("it cannot take a list") }
        var numbers = Set(0..<outputs)
        for buffer in buffers {
            switch buffer {
            case .input(let name):
                guard let parameter = parameters.first(where: { $0.name == name }) else {
                    throw wrong("it binds '\(name)', which is no parameter")
                }
                let odd: Set<DataType> = [.string, .float64, .complex64, .complex128]
                if let type = parameter.dtypes.intersection(odd).map(\.name).sorted().first, parameter.isConstant {
                    throw wrong("'\(name)' may be \(type), which Metal does not have")
                }
            case .output(let number):
                guard numbers.remove(number) != nil else { throw wrong("it binds output \(number) twice or has none") }
            case .size: break
            }
        }
        guard numbers.isEmpty, outputNames.count == outputs else { throw wrong("an output is bound to no buffer") }
        let sizes = buffers.compactMap { if case .size(let name, _) = $0 { name } else { nil } }
        let known = Set(parameters.map(\.name) + outputNames + sizes)
        let needed = (grid + threadgroup + Array(memory.values) + extents).reduce(into: Set<String>()) {
            $0.formUnion($1.names)
        }
        if let unknown = needed.subtracting(known).sorted().first {
            throw wrong("its sizes name '\(unknown)'; there are \(known.sorted().joined(separator: ", "))")
        }
    }

    private var extents: [Extent] { buffers.compactMap { if case .size(_, let extent) = $0 { extent } else { nil } } }
}

extension Extent.Scope {
    /// The inputs of a call, and its constants that are one integer, by parameter.
    public init(_ call: Call) throws {
        self.init()
        for parameter in call.op.parameters {
            if let type = try call.types(parameter.name).first ?? parameter.defaultValue?.type {
                types[parameter.name] = type
            }
            if let constant = call.constant(parameter.name), constant.count == 1, constant.dtype.isInteger {
                integers[parameter.name] = Int(exactly: constant.double(at: 0))
            }
        }
    }
}
