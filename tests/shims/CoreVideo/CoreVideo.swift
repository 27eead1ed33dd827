@_exported import Foundation

// Stand-ins for the few things of Core Foundation that Core Video's functions name: on Linux they are not public.

public typealias OSType = UInt32
public typealias CFString = NSString
public typealias CFDictionary = NSDictionary

/// Who gives memory; nil everywhere.
public final class CFAllocator: @unchecked Sendable { init() {} }
public let kCFAllocatorDefault: CFAllocator! = nil

public typealias CVReturn = Int32
public var kCVReturnSuccess: CVReturn { 0 }
public var kCVReturnError: CVReturn { -6660 }
public var kCVReturnInvalidArgument: CVReturn { -6661 }
public var kCVReturnAllocationFailed: CVReturn { -6662 }
public var kCVReturnUnsupported: CVReturn { -6663 }
public var kCVReturnInvalidPixelFormat: CVReturn { -6680 }
public var kCVReturnInvalidSize: CVReturn { -6681 }
public var kCVReturnInvalidPixelBufferAttributes: CVReturn { -6682 }

public typealias CVOptionFlags = UInt64

/// How a pixel buffer is locked.
public struct CVPixelBufferLockFlags: OptionSet, Sendable {
    public let rawValue: CVOptionFlags
    public init(rawValue: CVOptionFlags) { self.rawValue = rawValue }
    public static var readOnly: CVPixelBufferLockFlags { CVPixelBufferLockFlags(rawValue: 1) }
}

public var kCVPixelFormatType_32ARGB: OSType { 0x0000_0020 }
public var kCVPixelFormatType_32BGRA: OSType { 0x4247_5241 }
public var kCVPixelFormatType_32RGBA: OSType { 0x5247_4241 }
public var kCVPixelFormatType_OneComponent8: OSType { 0x4c30_3038 }
public var kCVPixelFormatType_OneComponent16Half: OSType { 0x4c30_3068 }
public var kCVPixelFormatType_OneComponent32Float: OSType { 0x4c30_3066 }

nonisolated(unsafe) public let kCVPixelBufferPixelFormatTypeKey: CFString = "PixelFormatType"
nonisolated(unsafe) public let kCVPixelBufferWidthKey: CFString = "Width"
nonisolated(unsafe) public let kCVPixelBufferHeightKey: CFString = "Height"
nonisolated(unsafe) public let kCVPixelBufferBytesPerRowAlignmentKey: CFString = "BytesPerRowAlignment"
nonisolated(unsafe) public let kCVPixelBufferIOSurfacePropertiesKey: CFString = "IOSurfaceProperties"
nonisolated(unsafe) public let kCVPixelBufferMetalCompatibilityKey: CFString = "MetalCompatibility"

/// Pixels of one plane in rows, which may be longer than the pixels in them.
public final class CVBuffer: Equatable, Hashable {
    let width: Int
    let height: Int
    let format: OSType
    let bytesPerRow: Int
    let base: UnsafeMutableRawPointer
    private let release: () -> Void
    private let lock = NSLock()
    /// Locks for reading, and for writing: each is taken back by its own kind.
    private var locks = [0, 0]

    init(
        width: Int, height: Int, format: OSType, bytesPerRow: Int, base: UnsafeMutableRawPointer,
        release: @escaping () -> Void
    ) {
        self.width = width
        self.height = height
        self.format = format
        self.bytesPerRow = bytesPerRow
        self.base = base
        self.release = release
    }

    deinit { release() }

    /// The pixels may be looked at only while the buffer is locked.
    var isLocked: Bool { lock.withLock { locks != [0, 0] } }

    func changeLocks(_ flags: CVPixelBufferLockFlags, by change: Int) -> CVReturn {
        lock.withLock {
            let kind = flags.contains(.readOnly) ? 0 : 1
            guard locks[kind] + change >= 0 else { return kCVReturnError }
            locks[kind] += change
            return kCVReturnSuccess
        }
    }

    public static func == (a: CVBuffer, b: CVBuffer) -> Bool { a === b }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

@available(*, unavailable) extension CVBuffer: @unchecked Sendable {}

public typealias CVImageBuffer = CVBuffer
public typealias CVPixelBuffer = CVImageBuffer

public typealias CVPixelBufferReleaseBytesCallback =
    @convention(c) (UnsafeMutableRawPointer?, UnsafeRawPointer?) -> Void

/// Bytes of one pixel; nil for formats that this stand-in does not have.
private func bytesPerPixel(_ format: OSType) -> Int? {
    switch format {
    case kCVPixelFormatType_32ARGB, kCVPixelFormatType_32BGRA, kCVPixelFormatType_32RGBA: 4
    case kCVPixelFormatType_OneComponent8: 1
    case kCVPixelFormatType_OneComponent16Half: 2
    case kCVPixelFormatType_OneComponent32Float: 4
    default: nil
    }
}

/// The largest side of an image, as of a texture.
private let largestSide = 1 << 24

@discardableResult
public func CVPixelBufferCreate(
    _ allocator: CFAllocator?, _ width: Int, _ height: Int, _ pixelFormatType: OSType,
    _ pixelBufferAttributes: CFDictionary?, _ pixelBufferOut: UnsafeMutablePointer<CVPixelBuffer?>
) -> CVReturn {
    guard let size = bytesPerPixel(pixelFormatType) else { return kCVReturnInvalidPixelFormat }
    guard width > 0, height > 0, width < largestSide, height < largestSide else { return kCVReturnInvalidSize }
    // Rows begin at multiples of 64 bytes, as on Apple's systems.
    let row = (width * size + 63) / 64 * 64
    let base = UnsafeMutableRawPointer.allocate(byteCount: row * height, alignment: 16384)
    base.initializeMemory(as: UInt8.self, repeating: 0xA5, count: row * height)
    pixelBufferOut.pointee = CVBuffer(
        width: width, height: height, format: pixelFormatType, bytesPerRow: row, base: base
    ) { base.deallocate() }
    return kCVReturnSuccess
}

@discardableResult
public func CVPixelBufferCreateWithBytes(
    _ allocator: CFAllocator?, _ width: Int, _ height: Int, _ pixelFormatType: OSType,
    _ baseAddress: UnsafeMutableRawPointer, _ bytesPerRow: Int,
    _ releaseCallback: CVPixelBufferReleaseBytesCallback?, _ releaseRefCon: UnsafeMutableRawPointer?,
    _ pixelBufferAttributes: CFDictionary?, _ pixelBufferOut: UnsafeMutablePointer<CVPixelBuffer?>
) -> CVReturn {
    guard let size = bytesPerPixel(pixelFormatType) else { return kCVReturnInvalidPixelFormat }
    guard width > 0, height > 0, width < largestSide, height < largestSide, bytesPerRow >= width * size else {
        return kCVReturnInvalidSize
    }
    pixelBufferOut.pointee = CVBuffer(
        width: width, height: height, format: pixelFormatType, bytesPerRow: bytesPerRow, base: baseAddress
    ) { releaseCallback?(releaseRefCon, baseAddress) }
    return kCVReturnSuccess
}

@discardableResult
public func CVPixelBufferLockBaseAddress(_ pixelBuffer: CVPixelBuffer, _ lockFlags: CVPixelBufferLockFlags) -> CVReturn
{
    pixelBuffer.changeLocks(lockFlags, by: 1)
}

@discardableResult
public func CVPixelBufferUnlockBaseAddress(
    _ pixelBuffer: CVPixelBuffer, _ unlockFlags: CVPixelBufferLockFlags
) -> CVReturn {
    pixelBuffer.changeLocks(unlockFlags, by: -1)
}

/// Nil unless the buffer is locked: Apple's answer is then not to be relied on.
public func CVPixelBufferGetBaseAddress(_ pixelBuffer: CVPixelBuffer) -> UnsafeMutableRawPointer? {
    pixelBuffer.isLocked ? pixelBuffer.base : nil
}

public func CVPixelBufferGetBytesPerRow(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.bytesPerRow }
public func CVPixelBufferGetWidth(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.width }
public func CVPixelBufferGetHeight(_ pixelBuffer: CVPixelBuffer) -> Int { pixelBuffer.height }
public func CVPixelBufferGetPixelFormatType(_ pixelBuffer: CVPixelBuffer) -> OSType { pixelBuffer.format }
public func CVPixelBufferGetDataSize(_ pixelBuffer: CVPixelBuffer) -> Int {
    pixelBuffer.bytesPerRow * pixelBuffer.height
}
public func CVPixelBufferIsPlanar(_ pixelBuffer: CVPixelBuffer) -> Bool { false }
public func CVPixelBufferGetPlaneCount(_ pixelBuffer: CVPixelBuffer) -> Int { 0 }
