@_exported import MetalPerformanceShaders

// The core classes of MPSGraph. The graph's operations stand in files by family, a few lines each: see `GraphRecord.swift`.

public class MPSGraphObject: NSObject {}

public class MPSGraphType: MPSGraphObject {}

public final class MPSGraphShapedType: MPSGraphType {
    public var shape: [NSNumber]?
    public var dataType: MPSDataType

    public init(shape: [NSNumber]?, dataType: MPSDataType) {
        self.shape = shape
        self.dataType = dataType
    }
}

public class MPSGraphOperation: MPSGraphObject {
    public let name: String

    init(name: String) { self.name = name }
}

public class MPSGraphTensor: MPSGraphObject {
    public let shape: [NSNumber]?
    public let dataType: MPSDataType
    public let operation: MPSGraphOperation
    /// The value of the graph's record that this names.
    let id: Int

    init(_ id: Int, shape: [NSNumber], dataType: MPSDataType, name: String) {
        self.id = id
        self.shape = shape
        self.dataType = dataType
        operation = MPSGraphOperation(name: name)
    }
}

public class MPSGraphDevice: MPSGraphObject {
    public let metalDevice: (any MTLDevice)?

    public init(mtlDevice metalDevice: any MTLDevice) { self.metalDevice = metalDevice }
}

/// Elements in a buffer, in row-major order without gaps.
public class MPSGraphTensorData: MPSGraphObject {
    public let shape: [NSNumber]
    public let dataType: MPSDataType
    let buffer: any MTLBuffer

    public init(_ buffer: any MTLBuffer, shape: [NSNumber], dataType: MPSDataType) {
        guard let type = dataType.mil else { graphAbort("the data type \(dataType) cannot lie in a buffer") }
        let count = shape.reduce(1) { $0 * $1.intValue }
        guard !shape.isEmpty, count > 0, count * type.size <= buffer.length else {
            graphAbort("the buffer of \(buffer.length) bytes does not hold \(shape) of \(dataType)")
        }
        self.buffer = buffer
        self.shape = shape
        self.dataType = dataType
    }
}

public enum MPSGraphOptimization: UInt64, Sendable {
    case level0 = 0
    case level1 = 1
}

public class MPSGraphCompilationDescriptor: MPSGraphObject {
    public var optimizationLevel = MPSGraphOptimization.level1
    public var waitForCompilationCompletion = false
}

public class MPSGraphExecutableExecutionDescriptor: MPSGraphObject {
    public var waitUntilCompleted = false
}

@available(*, unavailable)
extension MPSGraphShapedType: @unchecked Sendable {}
@available(*, unavailable)
extension MPSGraphOperation: @unchecked Sendable {}
@available(*, unavailable)
extension MPSGraphTensor: @unchecked Sendable {}
@available(*, unavailable)
extension MPSGraphDevice: @unchecked Sendable {}
@available(*, unavailable)
extension MPSGraphTensorData: @unchecked Sendable {}
@available(*, unavailable)
extension MPSGraphCompilationDescriptor: @unchecked Sendable {}
@available(*, unavailable)
extension MPSGraphExecutableExecutionDescriptor: @unchecked Sendable {}
@available(*, unavailable)
extension MPSGraph: @unchecked Sendable {}
