import Foundation
import MIL
import ShimControl

/// The element types of multi-arrays.
public enum MLMultiArrayDataType: Int, Sendable {
    case double = 0x10040
    case float32 = 0x10020
    case float16 = 0x10010
    case int32 = 0x20020
    case int8 = 0x20008

    public static var float64: MLMultiArrayDataType { .double }
    public static var float: MLMultiArrayDataType { .float32 }
}

extension MLMultiArrayDataType {
    var dtype: DataType {
        switch self {
        case .double: .float64
        case .float32: .float32
        case .float16: .float16
        case .int32: .int32
        case .int8: .int8
        }
    }

    init?(_ dtype: DataType) {
        switch dtype {
        case .float64: self = .double
        case .float32: self = .float32
        case .float16: self = .float16
        case .int32: self = .int32
        case .int8: self = .int8
        default: return nil
        }
    }

    /// The byte that fills memory not yet written: it makes NaN of floating-point elements and large integers.
    var filler: UInt8 { self == .int32 || self == .int8 ? 0x6B : 0xFF }
}

/// A type that is an element of multi-arrays.
public protocol MLShapedArrayScalar {
    static var multiArrayDataType: MLMultiArrayDataType { get }
}

extension Int32: MLShapedArrayScalar { public static var multiArrayDataType: MLMultiArrayDataType { .int32 } }
extension Float: MLShapedArrayScalar { public static var multiArrayDataType: MLMultiArrayDataType { .float32 } }
extension Double: MLShapedArrayScalar { public static var multiArrayDataType: MLMultiArrayDataType { .double } }

/// Numbers in several dimensions, addressed by strides.
open class MLMultiArray: NSObject {
    let sizes: [Int]
    /// Elements from one to the next in each dimension.
    private(set) var steps: [Int]
    private var memory: Memory
    private let elementType: MLMultiArrayDataType
    private let pixels: CVPixelBuffer?

    /// Bytes with what gives them back, and whether they are the array's own, so that they may move.
    private struct Memory {
        let base: UnsafeMutableRawPointer
        let byteCount: Int
        var isOwned = false
        var release: ((UnsafeMutableRawPointer) -> Void)?

        /// New bytes, filled with what must not be read.
        static func own(_ shape: [Int], _ strides: [Int], _ type: MLMultiArrayDataType) -> Memory {
            let byteCount = MLMultiArray.extent(shape, strides) * type.dtype.size
            let base = UnsafeMutableRawPointer.allocate(byteCount: max(byteCount, 1), alignment: 64)
            base.initializeMemory(as: UInt8.self, repeating: type.filler, count: byteCount)
            return Memory(base: base, byteCount: byteCount, isOwned: true) { $0.deallocate() }
        }
    }

    var base: UnsafeMutableRawPointer { memory.base }
    var byteCount: Int { memory.byteCount }

    deinit { memory.release?(memory.base) }

    // MARK: Making arrays

    /// An array of its own memory, for results.
    init(own shape: [Int], _ type: MLMultiArrayDataType, strides: [Int]) {
        sizes = shape
        steps = strides
        memory = .own(shape, strides, type)
        elementType = type
        pixels = nil
        super.init()
    }

    public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {
        sizes = shape.map(\.intValue)
        try MLMultiArray.check(sizes, dataType)
        steps = MLMultiArray.packed(sizes)
        memory = .own(sizes, steps, dataType)
        elementType = dataType
        pixels = nil
        super.init()
    }

    public init(
        dataPointer: UnsafeMutableRawPointer, shape: [NSNumber], dataType: MLMultiArrayDataType, strides: [NSNumber],
        deallocator: ((UnsafeMutableRawPointer) -> Void)? = nil
    ) throws {
        AutoreleasePools.expectOne()
        sizes = shape.map(\.intValue)
        steps = strides.map(\.intValue)
        try MLMultiArray.check(sizes, dataType)
        guard steps.count == sizes.count, steps.allSatisfy({ $0 >= 0 }) else {
            throw modelError(
                .generic, "MLMultiArray needs one stride, not negative, for each dimension of \(sizes), not \(steps).")
        }
        let byteCount = MLMultiArray.extent(sizes, steps) * dataType.dtype.size
        memory = Memory(base: dataPointer, byteCount: byteCount, release: deallocator)
        elementType = dataType
        pixels = nil
        super.init()
    }

    public convenience init(shape: [Int], dataType: MLMultiArrayDataType, strides: [Int]) {
        precondition(
            shape.count == strides.count && (shape + strides).allSatisfy { $0 >= 0 },
            "MLMultiArray needs one stride, not negative, for each dimension.")
        self.init(own: shape, dataType, strides: strides)
    }

    public init(pixelBuffer: CVPixelBuffer, shape: [NSNumber]) {
        sizes = shape.map(\.intValue)
        elementType =
            switch CVPixelBufferGetPixelFormatType(pixelBuffer) {
            case kCVPixelFormatType_OneComponent16Half: .float16
            case kCVPixelFormatType_OneComponent8: .int8
            default: preconditionFailure("MLMultiArray takes pixel buffers of OneComponent16Half or OneComponent8.")
            }
        precondition(
            sizes.last == CVPixelBufferGetWidth(pixelBuffer)
                && sizes.dropLast().reduce(1, *) == CVPixelBufferGetHeight(pixelBuffer),
            "The last dimension must be the pixel buffer's width, the product of the others its height.")
        steps = [Int](repeating: 1, count: sizes.count)
        // A row's length, not the width, leads from one row to the next.
        var step = CVPixelBufferGetBytesPerRow(pixelBuffer) / elementType.dtype.size
        for index in sizes.indices.dropLast().reversed() {
            steps[index] = step
            step *= sizes[index]
        }
        CVPixelBufferLockBaseAddress(pixelBuffer, [])
        guard let base = CVPixelBufferGetBaseAddress(pixelBuffer) else {
            preconditionFailure("The pixel buffer has no memory.")
        }
        memory = Memory(base: base, byteCount: CVPixelBufferGetDataSize(pixelBuffer)) { [pixelBuffer] _ in
            CVPixelBufferUnlockBaseAddress(pixelBuffer, [])
        }
        pixels = pixelBuffer
        super.init()
    }

    public convenience init(concatenating multiArrays: [MLMultiArray], axis: Int, dataType: MLMultiArrayDataType) {
        guard let first = multiArrays.first else { preconditionFailure("There is nothing to concatenate.") }
        let axis = axis < 0 ? axis + first.sizes.count : axis
        precondition(first.sizes.indices.contains(axis), "The axis \(axis) is not one of \(first.sizes).")
        var sizes = first.sizes
        sizes[axis] = 0
        for part in multiArrays {
            var other = part.sizes
            precondition(other.count == sizes.count, "Shapes differ in rank.")
            sizes[axis] += other[axis]
            other[axis] = sizes[axis]
            precondition(other == sizes, "Shapes differ beside the axis.")
        }
        self.init(own: sizes, dataType, strides: MLMultiArray.packed(sizes))
        var start = 0
        for part in multiArrays {
            for index in 0..<part.count {
                var place = MLMultiArray.place(of: index, in: part.sizes)
                let value = part.double(place)
                place[axis] += start
                store(value, place)
            }
            start += part.sizes[axis]
        }
    }

    public convenience init<C>(_ data: C) throws where C: Collection, C.Element: FixedWidthInteger {
        self.init(own: [data.count], .int32, strides: [1])
        for (index, value) in data.enumerated() { store(Double(Int32(clamping: value)), [index]) }
    }

    public convenience init<C>(_ data: C) throws where C: Collection, C.Element == Float {
        self.init(own: [data.count], .float32, strides: [1])
        for (index, value) in data.enumerated() { store(Double(value), [index]) }
    }

    public convenience init<C>(_ data: C) throws where C: Collection, C.Element == Double {
        self.init(own: [data.count], .double, strides: [1])
        for (index, value) in data.enumerated() { store(value, [index]) }
    }

    // MARK: What an array is

    open var shape: [NSNumber] { sizes.map(NSNumber.init(value:)) }
    open var strides: [NSNumber] { steps.map(NSNumber.init(value:)) }
    open var count: Int { sizes.reduce(1, *) }
    open var dataType: MLMultiArrayDataType { elementType }
    open var pixelBuffer: CVPixelBuffer? { pixels }
    @available(*, deprecated, message: "Use withUnsafeBytes or withUnsafeMutableBytes.")
    open var dataPointer: UnsafeMutableRawPointer { base }

    /// Element by element, in a fixed order over the dimensions.
    open subscript(idx: Int) -> NSNumber {
        get { self[MLMultiArray.place(of: idx, in: sizes).map(NSNumber.init(value:))] }
        set { self[MLMultiArray.place(of: idx, in: sizes).map(NSNumber.init(value:))] = newValue }
    }

    open subscript(key: [NSNumber]) -> NSNumber {
        get {
            let value = double(checked(key.map(\.intValue)))
            switch elementType {
            case .int32: return NSNumber(value: Int32(value))
            case .int8: return NSNumber(value: Int8(value))
            case .double: return NSNumber(value: value)
            case .float32, .float16: return NSNumber(value: Float(value))
            }
        }
        set { store(newValue.doubleValue, checked(key.map(\.intValue))) }
    }

    private func checked(_ place: [Int]) -> [Int] {
        precondition(
            place.count == sizes.count && zip(place, sizes).allSatisfy { $0 >= 0 && $0 < $1 },
            "The index \(place) is outside of the shape \(sizes).")
        return place
    }

    // MARK: Memory

    public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withExtendedLifetime(self) { try body(UnsafeRawBufferPointer(start: base, count: byteCount)) }
    }

    public func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer, [Int]) throws -> R) rethrows -> R {
        if ShimControl.isHostile { move() }
        return try withExtendedLifetime(self) {
            try body(UnsafeMutableRawBufferPointer(start: base, count: byteCount), steps)
        }
    }

    public func withUnsafeBufferPointer<S, R>(
        ofType type: S.Type, _ body: (UnsafeBufferPointer<S>) throws -> R
    ) rethrows -> R where S: MLShapedArrayScalar {
        precondition(S.multiArrayDataType == elementType, "The array holds other elements than \(S.self).")
        return try withUnsafeBytes { try body($0.bindMemory(to: S.self)) }
    }

    public func withUnsafeMutableBufferPointer<S, R>(
        ofType type: S.Type, _ body: (UnsafeMutableBufferPointer<S>, [Int]) throws -> R
    ) rethrows -> R where S: MLShapedArrayScalar {
        precondition(S.multiArrayDataType == elementType, "The array holds other elements than \(S.self).")
        return try withUnsafeMutableBytes { try body($0.bindMemory(to: S.self), $1) }
    }

    open func transfer(to destinationMultiArray: MLMultiArray) {
        precondition(destinationMultiArray.sizes == sizes, "Both arrays must have one shape.")
        let target = destinationMultiArray
        if target.elementType == elementType {
            StridedCopy(sizes, size: elementType.dtype.size).copy(base, steps, to: target.base, target.steps)
            return
        }
        for index in 0..<count {
            let place = MLMultiArray.place(of: index, in: sizes)
            target.store(double(place), place)
        }
    }

    /// Hostile: memory of the array's own moves when it is about to be written, to other strides, and the old is spoilt.
    private func move() {
        guard memory.isOwned else { return }
        let isPacked = steps == MLMultiArray.packed(sizes)
        let strides = isPacked ? MLMultiArray.padded(sizes, elementType) : MLMultiArray.packed(sizes)
        let new = Memory.own(sizes, strides, elementType)
        StridedCopy(sizes, size: elementType.dtype.size).copy(base, steps, to: new.base, strides)
        base.initializeMemory(as: UInt8.self, repeating: 0xDD, count: byteCount)
        memory.release?(base)
        (memory, steps) = (new, strides)
    }

    // MARK: Elements

    func offset(_ place: [Int]) -> Int { zip(place, steps).reduce(0) { $0 + $1.0 * $1.1 } }

    func double(_ place: [Int]) -> Double {
        let address = base + offset(place) * elementType.dtype.size
        switch elementType {
        case .double: return address.loadUnaligned(as: Double.self)
        case .float32: return Double(address.loadUnaligned(as: Float.self))
        case .float16: return Double(float(half: address.loadUnaligned(as: UInt16.self)))
        case .int32: return Double(address.loadUnaligned(as: Int32.self))
        case .int8: return Double(address.loadUnaligned(as: Int8.self))
        }
    }

    func store(_ value: Double, _ place: [Int]) {
        let address = base + offset(place) * elementType.dtype.size
        switch elementType {
        case .double: address.storeBytes(of: value, as: Double.self)
        case .float32: address.storeBytes(of: Float(value), as: Float.self)
        case .float16: address.storeBytes(of: half(float: Float(value)), as: UInt16.self)
        case .int32: address.storeBytes(of: Int32(clamping: MLMultiArray.whole(value)), as: Int32.self)
        case .int8: address.storeBytes(of: Int8(clamping: MLMultiArray.whole(value)), as: Int8.self)
        }
    }

    private static func whole(_ value: Double) -> Int {
        value.isNaN ? 0 : Int(min(max(value, -0x1p62), 0x1p62))
    }

    // MARK: Shapes and strides

    static func packed(_ shape: [Int]) -> [Int] {
        var strides = shape
        var step = 1
        for index in shape.indices.reversed() {
            strides[index] = step
            step *= max(shape[index], 1)
        }
        return strides
    }

    /// Strides whose rows begin at multiples of 64 bytes, as the Neural Engine leaves them.
    static func padded(_ shape: [Int], _ type: MLMultiArrayDataType) -> [Int] {
        guard let width = shape.last, shape.count > 1 else { return shape.isEmpty ? [] : [64 / type.dtype.size] }
        let unit = 64 / type.dtype.size
        // At least one element beside each row, so that no row follows the one before.
        let row = (max(width, 1) + unit) / unit * unit
        return packed(shape.dropLast() + [row])
    }

    /// Elements from the first to behind the last.
    static func extent(_ shape: [Int], _ strides: [Int]) -> Int {
        guard shape.allSatisfy({ $0 > 0 }) else { return 0 }
        return zip(shape, strides).reduce(1) { $0 + ($1.0 - 1) * $1.1 }
    }

    static func place(of index: Int, in shape: [Int]) -> [Int] {
        var rest = index
        var place = shape
        for dimension in shape.indices.reversed() {
            (rest, place[dimension]) = rest.quotientAndRemainder(dividingBy: max(shape[dimension], 1))
        }
        return place
    }

    private static func check(_ shape: [Int], _ type: MLMultiArrayDataType) throws {
        guard shape.allSatisfy({ $0 >= 0 }), (try? TensorType(type.dtype, shape).checkedByteCount()) != nil else {
            throw modelError(.generic, "MLMultiArray cannot have the shape \(shape).")
        }
    }
}

@available(*, unavailable) extension MLMultiArray: @unchecked Sendable {}

/// Moves elements of one size between two layouts of one shape.
struct StridedCopy {
    let shape: [Int]
    let size: Int

    init(_ shape: [Int], size: Int) {
        self.shape = shape
        self.size = size
    }

    func copy(
        _ source: UnsafeRawPointer, _ from: [Int], to target: UnsafeMutableRawPointer, _ to: [Int], dimension: Int = 0
    ) {
        guard shape.allSatisfy({ $0 > 0 }) else { return }
        guard dimension < shape.count else {
            target.copyMemory(from: source, byteCount: size)
            return
        }
        let (a, b) = (from[dimension], to[dimension])
        if dimension == shape.count - 1, a == 1, b == 1 {
            target.copyMemory(from: source, byteCount: size * shape[dimension])
            return
        }
        for index in 0..<shape[dimension] {
            copy(source + index * a * size, from, to: target + index * b * size, to, dimension: dimension + 1)
        }
    }
}
