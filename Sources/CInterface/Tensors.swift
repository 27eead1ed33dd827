import CHeader
import Martlet

/// A tensor with its shape, and the texts of a tensor of texts, in C's form. A symbol stands for a value of a function
/// that is being traced: it has a type and no elements.
final class TensorObject: Handled {
    static let kind = HandleKind.tensor

    /// A value of a trace.
    struct Symbol {
        let trace: Trace
        let id: ValueID
    }

    let type: SharedType
    /// The elements' memory, which this object owns.
    private let memory: Unmanaged<Storage>
    nonisolated(unsafe) let pointer: UnsafeMutableRawPointer
    private let byteOffset: Int
    let symbol: Symbol?
    /// The device that runs what is computed from this tensor; nil lets the selector choose.
    let pin: Pin?
    private let strings: Strings?

    /// Takes memory over.
    init(_ type: SharedType, _ memory: Unmanaged<Storage>, pin: Pin?) {
        self.type = type
        self.memory = memory
        pointer = memory._withUnsafeGuaranteedRef { $0.pointer }
        self.pin = pin
        byteOffset = 0
        symbol = nil
        strings = nil
    }

    init(_ tensor: Tensor, pin: Pin? = nil) {
        type = SharedType(tensor.type)
        memory = .passRetained(tensor.storage)
        pointer = tensor.pointer
        byteOffset = tensor.byteOffset
        self.pin = pin
        symbol = nil
        strings = tensor.dtype == .string ? Strings(tensor.strings) : nil
    }

    init(_ type: TensorType, symbol: Symbol) {
        self.type = SharedType(type)
        memory = .passRetained(TensorObject.nothing)
        pointer = TensorObject.nothing.pointer
        self.symbol = symbol
        byteOffset = 0
        pin = nil
        strings = nil
    }

    private static let nothing = Storage(byteCount: 0)

    deinit { StoragePool.give(memory) }

    var storage: Storage { memory.takeUnretainedValue() }

    var tensor: Tensor {
        if let strings { return Tensor(strings: strings.texts, shape: type.type.shape) }
        return Tensor(type.type, storage: storage, byteOffset: byteOffset)
    }

    /// The tensor, where it has elements.
    var known: Tensor {
        get throws {
            guard symbol == nil else {
                throw Failure(
                    .unsupported,
                    "The tensor of shape \(type.type.shape) has no elements: its function is being traced, not run.")
            }
            return tensor
        }
    }

    var view: mlt_view {
        let data = symbol == nil ? strings.map { UnsafeRawPointer($0.array) } ?? UnsafeRawPointer(pointer) : nil
        let bytes = strings.map { $0.texts.count * MemoryLayout<UnsafePointer<CChar>?>.stride } ?? type.byteCount
        return mlt_view(
            dtype: mlt_dtype(type.type.dtype.rawValue), rank: Int32(type.type.rank), shape: type.shape, data: data,
            bytes: symbol == nil ? bytes : 0)
    }
}

/// Texts as C has them.
private final class Strings: Sendable {
    let texts: [String]
    nonisolated(unsafe) let array: UnsafeMutablePointer<UnsafePointer<CChar>?>

    init(_ texts: [String]) {
        self.texts = texts
        array = .allocate(capacity: max(texts.count, 1))
        for (index, text) in texts.enumerated() { array[index] = UnsafePointer(chars(text)) }
    }

    deinit {
        for index in texts.indices { array[index]?.deallocate() }
        array.deallocate()
    }
}

@_cdecl("mlt_tensor_copy")
public func mlt_tensor_copy(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ dtype: mlt_dtype, _ rank: Int32, _ shape: UnsafePointer<Int64>?,
    _ data: UnsafeRawPointer?, _ bytes: Int
) -> mlt_status {
    status {
        try give(out) {
            let type = try tensorType(dtype, rank, shape)
            let data = try check(data, bytes, for: type)
            if type.dtype == .string { return TensorObject(try strings(type, data)) }
            let tensor = try Tensor(uninitialized: type)
            if let data, bytes > 0 { tensor.pointer.copyMemory(from: data, byteCount: bytes) }
            return TensorObject(tensor)
        }
    }
}

@_cdecl("mlt_tensor_wrap")
public func mlt_tensor_wrap(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ dtype: mlt_dtype, _ rank: Int32, _ shape: UnsafePointer<Int64>?,
    _ data: UnsafeMutableRawPointer?, _ bytes: Int, _ release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?,
    _ context: UnsafeMutableRawPointer?
) -> mlt_status {
    status {
        let place = try place(out)
        let type = try tensorType(dtype, rank, shape)
        guard type.dtype != .string else {
            throw Failure(.wrongType, "Texts are copied; take mlt_tensor_copy for a tensor of strings.")
        }
        let data = try check(data.map { UnsafeRawPointer($0) }, bytes, for: type)
        // Kernels load whole elements: data that is not aligned to its element type cannot be used where it lies.
        guard UInt(bitPattern: data).isMultiple(of: UInt(alignment(type.dtype))) else {
            throw Failure(
                .invalidArgument,
                "The data is not aligned to \(alignment(type.dtype)) bytes; copy it with mlt_tensor_copy.")
        }
        let lease = Lease(release, context)
        let storage = Storage(wrapping: data.map { UnsafeMutableRawPointer(mutating: $0) } ?? nowhere, byteCount: bytes)
        {
            lease.end()
        }
        let handle = try handles.add(TensorObject(Tensor(type, storage: storage)))
        lease.begin()
        place.pointee = handle
    }
}

@_cdecl("mlt_tensor_view")
public func mlt_tensor_view(_ out: UnsafeMutablePointer<mlt_view>?, _ tensor: OpaquePointer?) -> mlt_status {
    status { try place(out).pointee = handles.use(tensor, as: TensorObject.self) { $0.view } }
}

/// Memory of the caller's that is given back once, and only if the tensor over it came to be.
private final class Lease: @unchecked Sendable {
    private let release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?
    private let context: UnsafeMutableRawPointer?
    /// Written before any other thread can see the tensor.
    private var isRunning = false

    init(_ release: (@convention(c) (UnsafeMutableRawPointer?) -> Void)?, _ context: UnsafeMutableRawPointer?) {
        self.release = release
        self.context = context
    }

    func begin() { isRunning = true }
    func end() { if isRunning { release?(context) } }
}

/// Where the data of an empty tensor lies when the caller gives none.
private nonisolated(unsafe) let nowhere = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)

/// The most dimensions that a tensor may have here.
private let largestRank = 64

/// The type that C's arguments say, checked so that no later product of its sizes overflows.
func tensorType(_ code: mlt_dtype, _ rank: Int32, _ shape: UnsafePointer<Int64>?) throws -> TensorType {
    guard let dtype = UInt8(exactly: code).flatMap(DataType.init) else {
        throw Failure(
            .wrongType, "There is no element type \(code); the codes are 0 to \(DataType.allCases.count - 1).")
    }
    guard rank >= 0, rank <= largestRank else {
        throw Failure(.invalidArgument, "A tensor has 0 to \(largestRank) dimensions, not \(rank).")
    }
    guard rank == 0 || shape != nil else { throw Failure(.invalidArgument, "The shape is NULL and the rank \(rank).") }
    let sizes = UnsafeBufferPointer(start: shape, count: Int(rank)).map { Int($0) }
    guard sizes.allSatisfy({ $0 >= 0 }) else {
        throw Failure(.invalidArgument, "The shape \(sizes) has a negative dimension.")
    }
    // An empty tensor may not hide a size that overflows beside a 0.
    _ = try TensorType(dtype == .string ? .int64 : dtype, sizes.map { max($0, 1) }).checkedByteCount()
    return TensorType(dtype, sizes)
}

/// The data, where its size is exactly the type's.
private func check(_ data: UnsafeRawPointer?, _ bytes: Int, for type: TensorType) throws -> UnsafeRawPointer? {
    let needed = type.count * (type.dtype == .string ? MemoryLayout<UnsafePointer<CChar>?>.stride : type.dtype.size)
    guard bytes == needed else {
        let given = UInt(bitPattern: bytes)
        throw Failure(
            .invalidArgument, "A \(type.dtype.name) tensor of shape \(type.shape) has \(needed) bytes, not \(given).")
    }
    guard data != nil || bytes == 0 else { throw Failure(.invalidArgument, "The data is NULL and has \(bytes) bytes.") }
    return data
}

private func alignment(_ dtype: DataType) -> Int { dtype.isComplex ? dtype.size / 2 : dtype.size }

/// A tensor of texts from an array of C's texts.
private func strings(_ type: TensorType, _ data: UnsafeRawPointer?) throws -> Tensor {
    let texts = UnsafeBufferPointer(start: data?.assumingMemoryBound(to: UnsafePointer<CChar>?.self), count: type.count)
    return Tensor(strings: try texts.map { try text($0, "text of an element") }, shape: type.shape)
}
