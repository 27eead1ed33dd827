/// The type of one element. Raw values are the codes of `martlet.h`.
public enum DataType: UInt8, Sendable, Hashable, CaseIterable {
    case bool = 0
    case int8, uint8, int16, uint16, int32, uint32, int64, uint64
    case float16, float32, float64
    case complex64, complex128
    case string

    /// The name in MIL text, as Core ML writes it: `fp16`, `int32`, …
    public var name: String {
        switch self {
        case .bool: "bool"
        case .int8: "int8"
        case .uint8: "uint8"
        case .int16: "int16"
        case .uint16: "uint16"
        case .int32: "int32"
        case .uint32: "uint32"
        case .int64: "int64"
        case .uint64: "uint64"
        case .float16: "fp16"
        case .float32: "fp32"
        case .float64: "fp64"
        case .complex64: "complex64"
        case .complex128: "complex128"
        case .string: "string"
        }
    }

    public init?(name: some StringProtocol) {
        guard let match = DataType.allCases.first(where: { $0.name == name }) else { return nil }
        self = match
    }

    /// Bytes of one element; strings have none of their own.
    public var size: Int {
        switch self {
        case .bool, .int8, .uint8: 1
        case .int16, .uint16, .float16: 2
        case .int32, .uint32, .float32: 4
        case .int64, .uint64, .float64, .complex64: 8
        case .complex128: 16
        case .string: 0
        }
    }

    public var isFloat: Bool { self == .float16 || self == .float32 || self == .float64 }
    public var isInteger: Bool { rawValue >= DataType.int8.rawValue && rawValue <= DataType.uint64.rawValue }
    public var isComplex: Bool { self == .complex64 || self == .complex128 }
}

/// A Swift type that is an element of tensors.
public protocol Element: Sendable {
    static var dtype: DataType { get }
}

extension Bool: Element { public static var dtype: DataType { .bool } }
extension Int8: Element { public static var dtype: DataType { .int8 } }
extension UInt8: Element { public static var dtype: DataType { .uint8 } }
extension Int16: Element { public static var dtype: DataType { .int16 } }
extension UInt16: Element { public static var dtype: DataType { .uint16 } }
extension Int32: Element { public static var dtype: DataType { .int32 } }
extension UInt32: Element { public static var dtype: DataType { .uint32 } }
extension Int64: Element { public static var dtype: DataType { .int64 } }
extension UInt64: Element { public static var dtype: DataType { .uint64 } }
extension Float: Element { public static var dtype: DataType { .float32 } }
extension Double: Element { public static var dtype: DataType { .float64 } }
#if !(os(macOS) && arch(x86_64))
    extension Float16: Element { public static var dtype: DataType { .float16 } }
#endif
