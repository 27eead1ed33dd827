@_exported import Foundation

// The declarations of Metal that the engine uses. What they do here stands in `Stand…` types beside.

public struct MTLSize: Sendable {
    public var width: Int
    public var height: Int
    public var depth: Int

    public init() { self.init(width: 0, height: 0, depth: 0) }

    public init(width: Int, height: Int, depth: Int) {
        self.width = width
        self.height = height
        self.depth = depth
    }
}

public struct MTLResourceOptions: OptionSet, Sendable {
    public let rawValue: UInt

    public init(rawValue: UInt) { self.rawValue = rawValue }

    public static let storageModeShared = MTLResourceOptions([])
    public static let storageModePrivate = MTLResourceOptions(rawValue: 32)
}

public func MTLCreateSystemDefaultDevice() -> (any MTLDevice)? { StandDevice.current }

public protocol MTLDevice: NSObjectProtocol, Sendable {
    var name: String { get }
    var hasUnifiedMemory: Bool { get }
    var recommendedMaxWorkingSetSize: UInt64 { get }
    var maxBufferLength: Int { get }
    var maxThreadsPerThreadgroup: MTLSize { get }
    var maxThreadgroupMemoryLength: Int { get }

    func makeCommandQueue() -> (any MTLCommandQueue)?
    func makeBuffer(length: Int, options: MTLResourceOptions) -> (any MTLBuffer)?
    func makeBuffer(
        bytesNoCopy pointer: UnsafeMutableRawPointer, length: Int, options: MTLResourceOptions,
        deallocator: (@Sendable (UnsafeMutableRawPointer, Int) -> Void)?
    ) -> (any MTLBuffer)?
    func makeLibrary(source: String, options: MTLCompileOptions?) throws -> any MTLLibrary
    func makeComputePipelineState(function: any MTLFunction) throws -> any MTLComputePipelineState
}

// Apple's importer gives the parameters of the Objective-C methods these defaults.
extension MTLDevice {
    public func makeBuffer(length: Int) -> (any MTLBuffer)? { makeBuffer(length: length, options: []) }

    public func makeBuffer(bytesNoCopy pointer: UnsafeMutableRawPointer, length: Int) -> (any MTLBuffer)? {
        makeBuffer(bytesNoCopy: pointer, length: length, options: [], deallocator: nil)
    }
}

public protocol MTLResource: NSObjectProtocol {
    var device: any MTLDevice { get }
}

public protocol MTLBuffer: MTLResource {
    var length: Int { get }
    func contents() -> UnsafeMutableRawPointer
}

public protocol MTLCommandQueue: NSObjectProtocol, Sendable {
    var device: any MTLDevice { get }
    func makeCommandBuffer() -> (any MTLCommandBuffer)?
}

public enum MTLCommandBufferStatus: UInt, Sendable {
    case notEnqueued = 0
    case enqueued = 1
    case committed = 2
    case scheduled = 3
    case completed = 4
    case error = 5
}

public protocol MTLCommandBuffer: NSObjectProtocol {
    var device: any MTLDevice { get }
    var commandQueue: any MTLCommandQueue { get }
    var status: MTLCommandBufferStatus { get }
    var error: (any Error)? { get }
    var gpuStartTime: CFTimeInterval { get }
    var gpuEndTime: CFTimeInterval { get }

    func makeComputeCommandEncoder() -> (any MTLComputeCommandEncoder)?
    func commit()
    func waitUntilCompleted()
}

public typealias CFTimeInterval = Double

public struct MTLCommandBufferError: LocalizedError, Sendable {
    public enum Code: UInt, Sendable {
        case none = 0
        case `internal` = 1
        case timeout = 2
        case pageFault = 3
        case accessRevoked = 4
        case notPermitted = 7
        case outOfMemory = 8
        case invalidResource = 9
        case memoryless = 10
        case deviceRemoved = 11
        case stackOverflow = 12
    }

    public let code: Code

    private let words: String

    package init(_ code: Code, _ words: String = "a fault that a test ordered") {
        self.code = code
        self.words = words
    }

    public var errorDescription: String? { "\(words) (\(code))" }
}

public protocol MTLCommandEncoder: NSObjectProtocol {
    func endEncoding()
}

public protocol MTLComputeCommandEncoder: MTLCommandEncoder {
    func setComputePipelineState(_ state: any MTLComputePipelineState)
    func setBuffer(_ buffer: (any MTLBuffer)?, offset: Int, index: Int)
    func setBytes(_ bytes: UnsafeRawPointer, length: Int, index: Int)
    func setThreadgroupMemoryLength(_ length: Int, index: Int)
    func dispatchThreads(_ threadsPerGrid: MTLSize, threadsPerThreadgroup: MTLSize)
    func dispatchThreadgroups(_ threadgroupsPerGrid: MTLSize, threadsPerThreadgroup: MTLSize)
}

public enum MTLMathMode: Int, Sendable {
    case safe = 0
    case relaxed = 1
    case fast = 2
}

public class MTLCompileOptions: NSObject {
    public var mathMode = MTLMathMode.fast
}

@available(*, unavailable)
extension MTLCompileOptions: @unchecked Sendable {}

public protocol MTLLibrary: NSObjectProtocol, Sendable {
    var functionNames: [String] { get }
    func makeFunction(name functionName: String) -> (any MTLFunction)?
}

public protocol MTLFunction: NSObjectProtocol, Sendable {
    var name: String { get }
}

public protocol MTLAllocation: NSObjectProtocol {}

public protocol MTLComputePipelineState: MTLAllocation, Sendable {
    var maxTotalThreadsPerThreadgroup: Int { get }
    var threadExecutionWidth: Int { get }
    var staticThreadgroupMemoryLength: Int { get }
}

public struct MTLLibraryError: LocalizedError, Sendable {
    public enum Code: UInt, Sendable {
        case unsupported = 1
        case `internal` = 2
        case compileFailure = 3
        case compileWarning = 4
        case functionNotFound = 5
        case fileNotFound = 6
    }

    public let code: Code
    let words: String

    public var errorDescription: String? { words }
}
