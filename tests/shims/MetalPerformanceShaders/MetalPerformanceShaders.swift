@_exported import Metal

public enum MPSDataType: UInt32, Sendable {
    case invalid = 0
    case floatBit = 0x1000_0000
    case float32 = 0x1000_0020
    case float16 = 0x1000_0010
    case complexBit = 0x0100_0000
    case complexFloat32 = 0x1100_0040
    case complexFloat16 = 0x1100_0020
    case signedBit = 0x2000_0000
    case int4 = 0x2000_0004
    case int8 = 0x2000_0008
    case int16 = 0x2000_0010
    case int32 = 0x2000_0020
    case int64 = 0x2000_0040
    case uInt4 = 0x0000_0004
    case uInt8 = 0x0000_0008
    case uInt16 = 0x0000_0010
    case uInt32 = 0x0000_0020
    case uInt64 = 0x0000_0040
    case alternateEncodingBit = 0x8000_0000
    case bool = 0x8000_0008
    case bFloat16 = 0x9000_0010
}

/// A command buffer that graphs encode into; they may commit it and go on with a new one behind it.
public class MPSCommandBuffer: NSObject, MTLCommandBuffer {
    /// The one that is open now.
    private var current: any MTLCommandBuffer

    public init(commandBuffer: any MTLCommandBuffer) { current = commandBuffer }

    public func commitAndContinue() {
        current.commit()
        guard let next = current.commandQueue.makeCommandBuffer() else {
            fatalError("MPS: there is no command buffer to go on with.")
        }
        current = next
    }

    public var device: any MTLDevice { current.device }
    public var commandQueue: any MTLCommandQueue { current.commandQueue }
    public var status: MTLCommandBufferStatus { current.status }
    public var error: (any Error)? { current.error }
    public var gpuStartTime: CFTimeInterval { current.gpuStartTime }
    public var gpuEndTime: CFTimeInterval { current.gpuEndTime }
    public func makeComputeCommandEncoder() -> (any MTLComputeCommandEncoder)? {
        current.makeComputeCommandEncoder()
    }
    public func commit() { current.commit() }
    public func waitUntilCompleted() { current.waitUntilCompleted() }

    /// Adds work of a graph.
    package func append(_ step: @escaping () throws -> Void) {
        guard let stand = current as? StandCommandBuffer else { fatalError("MPS: a foreign command buffer.") }
        stand.append(step)
    }
}

@available(*, unavailable)
extension MPSCommandBuffer: @unchecked Sendable {}
