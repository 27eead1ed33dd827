import Foundation

/// The kinds of features.
public enum MLFeatureType: Int, Sendable {
    case invalid = 0
    case int64 = 1
    case double = 2
    case string = 3
    case image = 4
    case multiArray = 5
    case dictionary = 6
    case sequence = 7
    case state = 8
}

/// A sequence of strings or integers.
open class MLSequence: NSObject {
    private let kind: MLFeatureType
    private let strings: [String]
    private let numbers: [NSNumber]

    init(_ kind: MLFeatureType, _ strings: [String], _ numbers: [NSNumber]) {
        self.kind = kind
        self.strings = strings
        self.numbers = numbers
    }

    open var type: MLFeatureType { kind }
    public convenience init(empty type: MLFeatureType) { self.init(type, [], []) }
    public convenience init(strings stringValues: [String]) { self.init(.string, stringValues, []) }
    open var stringValues: [String] { strings }
    public convenience init(int64s int64Values: [NSNumber]) { self.init(.int64, [], int64Values) }
    open var int64Values: [NSNumber] { numbers }
}

@available(*, unavailable) extension MLSequence: @unchecked Sendable {}

/// A value with its kind.
open class MLFeatureValue: NSObject, NSCopying {
    private enum Content {
        case undefined(MLFeatureType)
        case int64(Int64)
        case double(Double)
        case string(String)
        case image(CVPixelBuffer)
        case multiArray(MLMultiArray)
        case dictionary([AnyHashable: NSNumber])
        case sequence(MLSequence)
    }

    private let content: Content

    private init(_ content: Content) { self.content = content }

    public convenience init(int64 value: Int64) { self.init(.int64(value)) }
    public convenience init(double value: Double) { self.init(.double(value)) }
    public convenience init(string value: String) { self.init(.string(value)) }
    public convenience init(multiArray value: MLMultiArray) { self.init(.multiArray(value)) }
    public convenience init(pixelBuffer value: CVPixelBuffer) { self.init(.image(value)) }
    public convenience init(sequence: MLSequence) { self.init(.sequence(sequence)) }
    public convenience init(undefined type: MLFeatureType) { self.init(.undefined(type)) }

    public convenience init(dictionary value: [AnyHashable: NSNumber]) throws {
        let isStrings = value.keys.allSatisfy { $0.base is String }
        guard isStrings || value.keys.allSatisfy({ $0.base is Int || $0.base is Int64 || $0.base is NSNumber }) else {
            throw modelError(.featureType, "The keys of a dictionary must be all strings or all integers.")
        }
        self.init(.dictionary(value))
    }

    open var type: MLFeatureType {
        switch content {
        case .undefined(let type): type
        case .int64: .int64
        case .double: .double
        case .string: .string
        case .image: .image
        case .multiArray: .multiArray
        case .dictionary: .dictionary
        case .sequence: .sequence
        }
    }

    open var isUndefined: Bool { if case .undefined = content { true } else { false } }
    open var int64Value: Int64 { if case .int64(let value) = content { value } else { 0 } }
    open var doubleValue: Double { if case .double(let value) = content { value } else { 0 } }
    open var stringValue: String { if case .string(let value) = content { value } else { "" } }
    open var multiArrayValue: MLMultiArray? { if case .multiArray(let value) = content { value } else { nil } }
    open var imageBufferValue: CVPixelBuffer? { if case .image(let value) = content { value } else { nil } }
    open var sequenceValue: MLSequence? { if case .sequence(let value) = content { value } else { nil } }
    open var dictionaryValue: [AnyHashable: NSNumber] {
        if case .dictionary(let value) = content { value } else { [:] }
    }

    open func isEqual(to value: MLFeatureValue) -> Bool {
        switch (content, value.content) {
        case (.undefined(let a), .undefined(let b)): a == b
        case (.int64(let a), .int64(let b)): a == b
        case (.double(let a), .double(let b)): a == b
        case (.string(let a), .string(let b)): a == b
        case (.image(let a), .image(let b)): a == b
        case (.multiArray(let a), .multiArray(let b)): a.hasEqualElements(as: b)
        case (.dictionary(let a), .dictionary(let b)): a == b
        case (.sequence(let a), .sequence(let b)):
            a.type == b.type && a.stringValues == b.stringValues && a.int64Values == b.int64Values
        default: false
        }
    }

    open func copy(with zone: NSZone? = nil) -> Any { self }
}

@available(*, unavailable) extension MLFeatureValue: @unchecked Sendable {}

extension MLMultiArray {
    func hasEqualElements(as other: MLMultiArray) -> Bool {
        guard sizes == other.sizes, dataType == other.dataType else { return false }
        return (0..<count).allSatisfy {
            let place = MLMultiArray.place(of: $0, in: sizes)
            return double(place) == other.double(place)
        }
    }
}

/// Values by name.
public protocol MLFeatureProvider: NSObjectProtocol {
    var featureNames: Set<String> { get }
    func featureValue(for featureName: String) -> MLFeatureValue?
}

/// Values by name, from a dictionary.
open class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
    private let values: [String: MLFeatureValue]

    public init(dictionary: [String: Any]) throws {
        values = try Dictionary(
            uniqueKeysWithValues: dictionary.map { name, value in
                (name, try MLDictionaryFeatureProvider.feature(value, named: name))
            })
        super.init()
    }

    open var dictionary: [String: MLFeatureValue] { values }
    open subscript(featureName: String) -> MLFeatureValue? { values[featureName] }
    open var featureNames: Set<String> { Set(values.keys) }
    open func featureValue(for featureName: String) -> MLFeatureValue? { values[featureName] }

    private static func feature(_ value: Any, named name: String) throws -> MLFeatureValue {
        switch value {
        case let value as MLFeatureValue: return value
        case let value as MLMultiArray: return MLFeatureValue(multiArray: value)
        case let value as CVPixelBuffer: return MLFeatureValue(pixelBuffer: value)
        case let value as MLSequence: return MLFeatureValue(sequence: value)
        case let value as String: return MLFeatureValue(string: value)
        case let value as Double: return MLFeatureValue(double: value)
        case let value as Int: return MLFeatureValue(int64: Int64(value))
        case let value as Int64: return MLFeatureValue(int64: value)
        case let value as [AnyHashable: NSNumber]: return try MLFeatureValue(dictionary: value)
        default: throw modelError(.featureType, "The value of '\(name)' is no feature: \(Swift.type(of: value)).")
        }
    }
}

@available(*, unavailable) extension MLDictionaryFeatureProvider: @unchecked Sendable {}

/// Several sets of values.
public protocol MLBatchProvider: NSObjectProtocol {
    var count: Int { get }
    func features(at index: Int) -> any MLFeatureProvider
}

/// Several sets of values, from an array.
open class MLArrayBatchProvider: NSObject, MLBatchProvider {
    private let providers: [any MLFeatureProvider]

    public init(array: [any MLFeatureProvider]) {
        providers = array
        super.init()
    }

    public init(dictionary: [String: [Any]]) throws {
        let counts = Set(dictionary.values.map(\.count))
        guard counts.count <= 1 else {
            throw modelError(.featureType, "The arrays of a batch must be equally long.")
        }
        providers = try (0..<(counts.first ?? 0)).map { index in
            try MLDictionaryFeatureProvider(dictionary: dictionary.mapValues { $0[index] })
        }
        super.init()
    }

    open var array: [any MLFeatureProvider] { providers }
    open var count: Int { providers.count }
    open func features(at index: Int) -> any MLFeatureProvider { providers[index] }
}

@available(*, unavailable) extension MLArrayBatchProvider: @unchecked Sendable {}
