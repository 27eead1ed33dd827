#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Bytes with an owner: memory allocated here, a mapped file, or a buffer of another owner. They never change once
/// shared.
public final class Storage: @unchecked Sendable {
    public let pointer: UnsafeMutableRawPointer
    public let byteCount: Int
    /// Bytes that are this memory's alone, the last page to its end where it begins with one: what a GPU may map.
    public var wholeBytes: Int { ownsPages ? Storage.wholePages(byteCount) : byteCount }
    private let ownsPages: Bool
    /// Pages of a file: the system can drop and read them again at will.
    public let isMapped: Bool
    /// For the content of a file, what names this version of the file on this machine.
    public let origin: String?
    /// Came from the pool, and goes back there.
    let isPooled: Bool
    /// Gives the memory back to its other owner; nil if it was allocated here.
    private let release: (@Sendable () -> Void)?

    private init(owning pointer: UnsafeMutableRawPointer, byteCount: Int, isPooled: Bool) {
        self.pointer = pointer
        self.byteCount = byteCount
        self.isPooled = isPooled
        ownsPages = byteCount >= Storage.paged
        isMapped = false
        origin = nil
        release = nil
    }

    /// New memory, aligned for vector loads and not cleared.
    public convenience init(byteCount: Int) {
        guard let start = Storage.memory(byteCount) else { preconditionFailure("no memory for \(byteCount) bytes") }
        self.init(owning: start, byteCount: byteCount, isPooled: false)
    }

    /// New memory like that of `init(byteCount:)`, or a failure where the system has none to give.
    public convenience init(allocating byteCount: Int) throws {
        guard let start = Storage.memory(byteCount) else {
            throw Failure(.outOfMemory, "The system has no \(byteCount >> 20) MiB to give.")
        }
        self.init(owning: start, byteCount: byteCount, isPooled: false)
    }

    /// Memory for the pool to lend.
    convenience init?(pooled byteCount: Int) {
        guard let start = Storage.memory(byteCount) else { return nil }
        self.init(owning: start, byteCount: byteCount, isPooled: true)
    }

    /// Memory of another owner; `release` runs when the last tensor over it is gone.
    public init(
        wrapping pointer: UnsafeMutableRawPointer, byteCount: Int, isMapped: Bool = false, origin: String? = nil,
        release: @escaping @Sendable () -> Void
    ) {
        self.pointer = pointer
        self.byteCount = byteCount
        self.isMapped = isMapped
        self.origin = origin
        isPooled = false
        ownsPages = false
        self.release = release
    }

    deinit {
        if let release { release() } else { free(pointer) }
    }

    // From so many bytes on, memory consists of whole pages. glibc takes longer for such, and nothing there maps them.
    #if canImport(Darwin) || MARTLET_SHIMS
        private static let paged = 128 << 10
    #else
        private static let paged = Int.max
    #endif
    private static let page = max(sysconf(Int32(_SC_PAGESIZE)), 4096)

    private static func wholePages(_ byteCount: Int) -> Int { (byteCount + page - 1) / page * page }

    private static func memory(_ byteCount: Int) -> UnsafeMutableRawPointer? {
        var start: UnsafeMutableRawPointer?
        guard byteCount <= Int.max - page else { return nil }
        let isPaged = byteCount >= paged
        let size = isPaged ? wholePages(byteCount) : max(byteCount, 1)
        return posix_memalign(&start, isPaged ? page : 64, size) == 0 ? start : nil
    }
}

/// A value: element type, shape and elements in row-major order. Tensors of strings keep them in `strings`.
public struct Tensor: Sendable {
    public let type: TensorType
    public let storage: Storage
    public let byteOffset: Int
    public let strings: [String]

    private static let nothing = Storage(byteCount: 0)

    /// A tensor over existing bytes. The caller has checked that they suffice.
    public init(_ type: TensorType, storage: Storage, byteOffset: Int = 0) {
        self.type = type
        self.storage = storage
        self.byteOffset = byteOffset
        strings = []
    }

    /// New elements, not cleared.
    public init(uninitialized type: TensorType) throws {
        self.init(type, storage: try Storage(allocating: type.checkedByteCount()))
    }

    /// A tensor of strings.
    public init(strings: [String], shape: [Int]) {
        type = TensorType(.string, shape)
        storage = Tensor.nothing
        byteOffset = 0
        self.strings = strings
    }

    public init(_ string: String) { self.init(strings: [string], shape: []) }

    /// Elements of a Swift array, in row-major order. The count must fit the shape.
    public init<T: Element>(_ elements: [T], shape: [Int]? = nil) {
        let shape = shape ?? [elements.count]
        precondition(shape.reduce(1, *) == elements.count, "\(elements.count) elements do not fill the shape \(shape)")
        let storage = Storage(byteCount: elements.count * MemoryLayout<T>.stride)
        elements.withUnsafeBytes {
            if let base = $0.baseAddress { storage.pointer.copyMemory(from: base, byteCount: $0.count) }
        }
        self.init(TensorType(T.dtype, shape), storage: storage)
    }

    public init<T: Element>(_ scalar: T) { self.init([scalar], shape: []) }

    public var dtype: DataType { type.dtype }
    public var shape: [Int] { type.shape }
    public var count: Int { type.count }
    public var pointer: UnsafeMutableRawPointer { storage.pointer + byteOffset }
    public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: pointer, count: type.byteCount) }

    /// The same elements under another shape of the same count.
    public func reshaped(_ shape: [Int]) -> Tensor {
        if dtype == .string { return Tensor(strings: strings, shape: shape) }
        return Tensor(TensorType(dtype, shape), storage: storage, byteOffset: byteOffset)
    }

    /// The elements as a Swift array; `T` must be the element type.
    public func array<T: Element>(of: T.Type = T.self) -> [T] {
        precondition(T.dtype == dtype, "the tensor holds \(dtype.name), not \(T.dtype.name)")
        return [T](unsafeUninitializedCapacity: count) { buffer, initialized in
            if count > 0 {
                UnsafeMutableRawPointer(buffer.baseAddress!).copyMemory(from: pointer, byteCount: type.byteCount)
            }
            initialized = count
        }
    }

    /// The element at a row-major position as Double, for numbers of any type.
    public func double(at index: Int) -> Double {
        func load<T>(_: T.Type) -> T {
            pointer.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.stride, as: T.self)
        }
        return switch dtype {
        case .bool, .uint8: Double(load(UInt8.self))
        case .int8: Double(load(Int8.self))
        case .int16: Double(load(Int16.self))
        case .uint16: Double(load(UInt16.self))
        case .int32: Double(load(Int32.self))
        case .uint32: Double(load(UInt32.self))
        case .int64: Double(load(Int64.self))
        case .uint64: Double(load(UInt64.self))
        case .float16: Double(float(half: load(UInt16.self)))
        case .float32: Double(load(Float.self))
        case .float64: load(Double.self)
        case .complex64: Double(pointer.loadUnaligned(fromByteOffset: index * 8, as: Float.self))
        case .complex128: pointer.loadUnaligned(fromByteOffset: index * 16, as: Double.self)
        case .string: .nan
        }
    }

    /// Whether the number at a row-major position is 0.
    public func isZero(at index: Int) -> Bool {
        guard dtype.isComplex else { return double(at: index) == 0 }
        let parts = Tensor(
            TensorType(dtype == .complex64 ? .float32 : .float64, [2 * count]), storage: storage, byteOffset: byteOffset
        )
        return parts.double(at: 2 * index) == 0 && parts.double(at: 2 * index + 1) == 0
    }

    /// The element at a row-major position as Int; nil if it is not an integer, or does not fit. Booleans are 0 and 1.
    public func int(at index: Int) -> Int? {
        switch dtype {
        case .int64: return Int(pointer.loadUnaligned(fromByteOffset: index * 8, as: Int64.self))
        case .uint64: return Int(exactly: pointer.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        case .string: return nil
        default: return Int(exactly: double(at: index))
        }
    }

    /// All elements as Int; nil if one is not an integer, or does not fit.
    public var ints: [Int]? {
        var result: [Int] = []
        result.reserveCapacity(count)
        for index in 0..<count {
            guard let value = int(at: index) else { return nil }
            result.append(value)
        }
        return result
    }

    /// A tensor of numbers given as Double, rounded to the element type.
    public init(_ doubles: [Double], dtype: DataType, shape: [Int]) {
        let storage = Storage(byteCount: doubles.count * dtype.size)
        for (index, value) in doubles.enumerated() {
            let place = storage.pointer + index * dtype.size
            switch dtype {
            case .bool: place.storeBytes(of: value != 0 ? 1 : 0, as: UInt8.self)
            case .int8: place.storeBytes(of: Int8(clamping: Int(value)), as: Int8.self)
            case .uint8: place.storeBytes(of: UInt8(clamping: Int(value)), as: UInt8.self)
            case .int16: place.storeBytes(of: Int16(clamping: Int(value)), as: Int16.self)
            case .uint16: place.storeBytes(of: UInt16(clamping: Int(value)), as: UInt16.self)
            case .int32: place.storeBytes(of: Int32(clamping: Int(value)), as: Int32.self)
            case .uint32: place.storeBytes(of: UInt32(clamping: Int(value)), as: UInt32.self)
            case .int64: place.storeBytes(of: Int64(value), as: Int64.self)
            case .uint64: place.storeBytes(of: UInt64(value), as: UInt64.self)
            case .float16: place.storeBytes(of: half(float: Float(value)), as: UInt16.self)
            case .float32: place.storeBytes(of: Float(value), as: Float.self)
            case .float64: place.storeBytes(of: value, as: Double.self)
            case .complex64:
                place.storeBytes(of: Float(value), as: Float.self)
                place.storeBytes(of: 0, toByteOffset: 4, as: Float.self)
            case .complex128:
                place.storeBytes(of: value, as: Double.self)
                place.storeBytes(of: 0, toByteOffset: 8, as: Double.self)
            case .string: break
            }
        }
        self.init(TensorType(dtype, shape), storage: storage)
    }
}

/// IEEE 754 binary16 bits to Float, exact.
public func float(half bits: UInt16) -> Float {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10) & 0x1f
    let fraction = UInt32(bits & 0x3ff)
    switch exponent {
    case 0: return Float(bitPattern: sign | (Float(fraction) * 0x1p-24).bitPattern)
    case 31: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
}

/// Float to IEEE 754 binary16 bits, rounding half to even.
public func half(float value: Float) -> UInt16 {
    let bits = value.bitPattern
    let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
    let magnitude = bits & 0x7fff_ffff
    if magnitude > 0x7f80_0000 { return sign | 0x7e00 }
    if magnitude >= 0x477f_f000 { return sign | 0x7c00 }
    if magnitude < 0x3880_0000 {
        // Below the smallest normal half: adding 0.5 lets the float unit round the fraction into the low bits.
        let rounded = Float(bitPattern: magnitude) + 0.5
        return sign | UInt16(truncatingIfNeeded: rounded.bitPattern &- Float(0.5).bitPattern)
    }
    let odd = (magnitude >> 13) & 1
    return sign | UInt16(truncatingIfNeeded: (magnitude &- 0x3800_0000 &+ 0xfff &+ odd) >> 13)
}
