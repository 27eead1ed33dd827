import MIL
import MSL
import ShimControl

/// Kernels of the stand-in: the MSL module compiles them for the CPU.
final class StandLibrary: NSObject, MTLLibrary {
    let functionNames: [String]
    private let library: KernelLibrary

    init(_ source: String) throws {
        do { library = try KernelLibrary(source: source) } catch {
            let isWrong = (error as? Failure)?.kind == .malformed
            throw MTLLibraryError(code: isWrong ? .compileFailure : .unsupported, words: "\(error)")
        }
        functionNames = library.functionNames
        ShimControl.count("library_made")
    }

    func makeFunction(name functionName: String) -> (any MTLFunction)? {
        library.function(named: functionName).map(StandFunction.init)
    }
}

final class StandFunction: NSObject, MTLFunction {
    let compiled: KernelFunction

    init(_ compiled: KernelFunction) { self.compiled = compiled }

    var name: String { compiled.name }
}

final class StandPipeline: NSObject, MTLComputePipelineState {
    let function: KernelFunction

    init(_ function: KernelFunction) { self.function = function }

    var maxTotalThreadsPerThreadgroup: Int {
        ShimControl.value("max_threads") ?? function.maxTotalThreadsPerThreadgroup
    }
    var threadExecutionWidth: Int { function.threadExecutionWidth }
    var staticThreadgroupMemoryLength: Int { function.staticThreadgroupMemoryLength }
}

/// Collects what a kernel is run on. Wrong use ends the process, as Metal's checks do.
final class StandEncoder: NSObject, MTLComputeCommandEncoder {
    private let commands: StandCommandBuffer
    private var pipeline: StandPipeline?
    private var buffers: [Int: (buffer: any MTLBuffer, offset: Int)] = [:]
    private var bytes: [Int: [UInt8]] = [:]
    private var memory: [Int: Int] = [:]
    private var isEnded = false

    init(_ commands: StandCommandBuffer) { self.commands = commands }

    deinit { precondition(isEnded, "Metal: an encoder was never ended.") }

    func setComputePipelineState(_ state: any MTLComputePipelineState) { pipeline = state as? StandPipeline }

    func setBuffer(_ buffer: (any MTLBuffer)?, offset: Int, index: Int) {
        precondition((0..<31).contains(index), "Metal: there is no buffer \(index).")
        buffers[index] = buffer.map { ($0, offset) }
    }

    func setBytes(_ bytes: UnsafeRawPointer, length: Int, index: Int) {
        precondition((1...4096).contains(length), "Metal: \(length) bytes are too many to set.")
        self.bytes[index] = Array(UnsafeRawBufferPointer(start: bytes, count: length))
    }

    func setThreadgroupMemoryLength(_ length: Int, index: Int) {
        precondition(length > 0 && length % 16 == 0, "Metal: threadgroup memory of \(length) bytes.")
        memory[index] = length
    }

    func dispatchThreads(_ threadsPerGrid: MTLSize, threadsPerThreadgroup: MTLSize) {
        dispatch(threadsPerGrid, threadsPerThreadgroup, countsThreads: true)
    }

    func dispatchThreadgroups(_ threadgroupsPerGrid: MTLSize, threadsPerThreadgroup: MTLSize) {
        dispatch(threadgroupsPerGrid, threadsPerThreadgroup, countsThreads: false)
    }

    private func dispatch(_ grid: MTLSize, _ group: MTLSize, countsThreads: Bool) {
        guard let pipeline, !isEnded else { fatalError("Metal: a dispatch without a pipeline, or after the end.") }
        let threads = group.width * group.height * group.depth
        precondition(threads <= pipeline.maxTotalThreadsPerThreadgroup, "Metal: a threadgroup of \(threads) threads.")
        precondition(grid.width > 0 && grid.height > 0 && grid.depth > 0, "Metal: an empty grid.")
        let total = memory.values.reduce(pipeline.staticThreadgroupMemoryLength, +)
        precondition(total <= 32 << 10, "Metal: \(total) bytes of threadgroup memory.")
        let (function, buffers, bytes, memory) = (pipeline.function, buffers, bytes, memory)
        commands.append {
            ShimControl.count("kernel_run")
            var places = buffers.mapValues { $0.buffer.contents() + $0.offset }
            // Each set of bytes in memory of its own for the time of the run.
            let copies = bytes.map { index, bytes in
                let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes.count, alignment: 16)
                copy.copyMemory(from: bytes, byteCount: bytes.count)
                places[index] = copy
                return copy
            }
            defer { for copy in copies { copy.deallocate() } }
            do {
                try function.run(
                    grid: GridSize(grid.width, grid.height, grid.depth), countsThreads: countsThreads,
                    threadgroup: GridSize(group.width, group.height, group.depth), buffers: places,
                    threadgroupMemory: memory)
            } catch { throw MTLCommandBufferError(.timeout, "\(error)") }
            withExtendedLifetime(buffers) {}
        }
    }

    func endEncoding() { isEnded = true }
}

@available(*, unavailable)
extension StandEncoder: @unchecked Sendable {}
