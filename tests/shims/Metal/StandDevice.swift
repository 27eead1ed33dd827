import ShimControl

/// The stand-in's GPU: memory of the host, kernels run by the MSL module, completion on another thread.
package final class StandDevice: NSObject, MTLDevice {
    private static let only = StandDevice()

    /// The device, unless a test says that the machine has none.
    static var current: (any MTLDevice)? { (ShimControl.value("gpu_absent") ?? 0) != 0 ? nil : only }

    package let name = "Stand-in GPU"
    package let hasUnifiedMemory = true
    package var recommendedMaxWorkingSetSize: UInt64 { UInt64(ShimControl.value("working_set") ?? 4 << 30) }
    package var maxBufferLength: Int { ShimControl.value("max_buffer_length") ?? 2 << 30 }
    package var maxThreadsPerThreadgroup: MTLSize { MTLSize(width: 1024, height: 1024, depth: 1024) }
    package let maxThreadgroupMemoryLength = 32 << 10

    package func makeCommandQueue() -> (any MTLCommandQueue)? {
        ShimControl.strikes("queue") ? nil : StandCommandQueue()
    }

    package func makeBuffer(length: Int, options: MTLResourceOptions) -> (any MTLBuffer)? {
        guard length > 0, length <= maxBufferLength, !ShimControl.strikes("buffer") else { return nil }
        let page = Int(getpagesize())
        var start: UnsafeMutableRawPointer?
        guard posix_memalign(&start, page, (length + page - 1) / page * page) == 0, let start else { return nil }
        ShimControl.count("buffer_made")
        return StandBuffer(start, length) { pointer, _ in free(pointer) }
    }

    package func makeBuffer(
        bytesNoCopy pointer: UnsafeMutableRawPointer, length: Int, options: MTLResourceOptions,
        deallocator: (@Sendable (UnsafeMutableRawPointer, Int) -> Void)?
    ) -> (any MTLBuffer)? {
        let page = Int(getpagesize())
        guard length > 0, length <= maxBufferLength, Int(bitPattern: pointer) % page == 0, length % page == 0
        else { return nil }
        // A driver may decline memory that it cannot map.
        guard !ShimControl.strikes("nocopy") else { return nil }
        ShimControl.count("nocopy_buffer")
        return StandBuffer(pointer, length, deallocator)
    }

    package func makeLibrary(source: String, options: MTLCompileOptions?) throws -> any MTLLibrary {
        try StandLibrary(source)
    }

    package func makeComputePipelineState(function: any MTLFunction) throws -> any MTLComputePipelineState {
        guard let function = function as? StandFunction else { fatalError("Metal: a foreign function.") }
        return StandPipeline(function.compiled)
    }
}

package final class StandBuffer: NSObject, MTLBuffer {
    package let length: Int
    private let pointer: UnsafeMutableRawPointer
    private let deallocator: (@Sendable (UnsafeMutableRawPointer, Int) -> Void)?

    init(
        _ pointer: UnsafeMutableRawPointer, _ length: Int,
        _ deallocator: (@Sendable (UnsafeMutableRawPointer, Int) -> Void)?
    ) {
        self.pointer = pointer
        self.length = length
        self.deallocator = deallocator
    }

    deinit { deallocator?(pointer, length) }

    package var device: any MTLDevice { StandDevice.current! }
    package func contents() -> UnsafeMutableRawPointer { pointer }
}

@available(*, unavailable)
extension StandBuffer: @unchecked Sendable {}
