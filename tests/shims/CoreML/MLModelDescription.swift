import Foundation
import MIL

/// Who made a model and what for: the keys of its metadata.
public struct MLModelMetadataKey: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public static let description = MLModelMetadataKey(rawValue: "MLModelDescriptionKey")
    public static let versionString = MLModelMetadataKey(rawValue: "MLModelVersionStringKey")
    public static let author = MLModelMetadataKey(rawValue: "MLModelAuthorKey")
    public static let license = MLModelMetadataKey(rawValue: "MLModelLicenseKey")
    public static let creatorDefinedKey = MLModelMetadataKey(rawValue: "MLModelCreatorDefinedKey")
}

/// What a function of a model takes and gives.
open class MLModelDescription: NSObject {
    private let interface: Interface
    private let words: Model.Metadata

    init(_ interface: Interface, _ metadata: Model.Metadata) {
        self.interface = interface
        words = metadata
    }

    private func byName(_ features: [Feature]) -> [String: MLFeatureDescription] {
        Dictionary(features.map { ($0.name, MLFeatureDescription($0)) }) { first, _ in first }
    }

    open var inputDescriptionsByName: [String: MLFeatureDescription] { byName(interface.inputs) }
    open var outputDescriptionsByName: [String: MLFeatureDescription] { byName(interface.outputs) }
    open var stateDescriptionsByName: [String: MLFeatureDescription] { byName(interface.states) }
    open var predictedFeatureName: String? {
        interface.predictedFeature.isEmpty ? nil : interface.predictedFeature
    }
    open var predictedProbabilitiesName: String? {
        interface.predictedProbabilities.isEmpty ? nil : interface.predictedProbabilities
    }
    open var metadata: [MLModelMetadataKey: Any] {
        [
            .description: words.shortDescription, .versionString: words.version, .author: words.author,
            .license: words.license, .creatorDefinedKey: words.userDefined,
        ]
    }
    open var classLabels: [Any]? {
        switch interface.classifier?.labels {
        case .strings(let names): names
        case .integers(let numbers): numbers.map(NSNumber.init(value:))
        case nil: nil
        }
    }
    open var isUpdatable: Bool { false }
}

@available(*, unavailable) extension MLModelDescription: @unchecked Sendable {}

/// Name, kind and limits of an input, output or state.
open class MLFeatureDescription: NSObject {
    let feature: Feature

    init(_ feature: Feature) { self.feature = feature }

    open var name: String { feature.name }
    open var isOptional: Bool { feature.isOptional }
    open var type: MLFeatureType {
        switch feature.kind {
        case .multiArray: .multiArray
        case .image: .image
        case .int64: .int64
        case .double: .double
        case .string: .string
        case .dictionary: .dictionary
        case .sequence: .sequence
        case .state: .state
        }
    }

    open func isAllowedValue(_ value: MLFeatureValue) -> Bool { (try? check(value)) != nil }

    open var multiArrayConstraint: MLMultiArrayConstraint? {
        if case .multiArray(let array) = feature.kind { MLMultiArrayConstraint(array) } else { nil }
    }
    open var imageConstraint: MLImageConstraint? {
        if case .image(let image) = feature.kind { MLImageConstraint(image) } else { nil }
    }
    open var dictionaryConstraint: MLDictionaryConstraint? {
        if case .dictionary(let key) = feature.kind { MLDictionaryConstraint(key) } else { nil }
    }
    open var stateConstraint: MLStateConstraint? {
        if case .state(let array) = feature.kind { MLStateConstraint(array) } else { nil }
    }
}

@available(*, unavailable) extension MLFeatureDescription: @unchecked Sendable {}

/// Shape and element type of a multi-array.
open class MLMultiArrayConstraint: NSObject {
    private let array: Feature.MultiArray

    init(_ array: Feature.MultiArray) { self.array = array }

    open var shape: [NSNumber] { array.shape.map(NSNumber.init(value:)) }
    open var dataType: MLMultiArrayDataType { MLMultiArrayDataType(array.dtype) ?? .double }
    open var shapeConstraint: MLMultiArrayShapeConstraint { MLMultiArrayShapeConstraint(array) }
}

@available(*, unavailable) extension MLMultiArrayConstraint: @unchecked Sendable {}

public enum MLMultiArrayShapeConstraintType: Int, Sendable {
    case unspecified = 1
    case enumerated = 2
    case range = 3
}

/// The shapes that a multi-array may have.
open class MLMultiArrayShapeConstraint: NSObject {
    private let array: Feature.MultiArray

    init(_ array: Feature.MultiArray) { self.array = array }

    open var type: MLMultiArrayShapeConstraintType {
        switch array.flexibility {
        case .fixed: array.shape.isEmpty ? .unspecified : .enumerated
        case .enumerated: .enumerated
        case .ranges: .range
        }
    }

    open var sizeRangeForDimension: [NSValue] {
        switch array.flexibility {
        case .ranges(let ranges): ranges.map { NSValue(range: $0.nsRange) }
        default: array.shape.map { NSValue(range: NSRange(location: $0, length: 1)) }
        }
    }

    open var enumeratedShapes: [[NSNumber]] {
        switch array.flexibility {
        case .fixed: [array.shape.map(NSNumber.init(value:))]
        case .enumerated(let shapes): shapes.map { $0.map(NSNumber.init(value:)) }
        case .ranges: []
        }
    }
}

@available(*, unavailable) extension MLMultiArrayShapeConstraint: @unchecked Sendable {}

extension Feature.SizeRange {
    var nsRange: NSRange { NSRange(location: lower, length: (upper ?? Int(Int32.max)) - lower + 1) }
}

/// Size and format of an image.
open class MLImageConstraint: NSObject {
    let image: Feature.Image

    init(_ image: Feature.Image) { self.image = image }

    open var pixelsHigh: Int { image.height }
    open var pixelsWide: Int { image.width }
    open var pixelFormatType: OSType {
        switch image.colorSpace {
        case .rgb, .bgr: kCVPixelFormatType_32BGRA
        case .grayscale: kCVPixelFormatType_OneComponent8
        case .grayscaleFloat16: kCVPixelFormatType_OneComponent16Half
        }
    }
    open var sizeConstraint: MLImageSizeConstraint { MLImageSizeConstraint(image) }
}

@available(*, unavailable) extension MLImageConstraint: @unchecked Sendable {}

public enum MLImageSizeConstraintType: Int, Sendable {
    case unspecified = 0
    case enumerated = 2
    case range = 3
}

open class MLImageSize: NSObject {
    private let size: Feature.Image.Size
    init(_ size: Feature.Image.Size) { self.size = size }
    open var pixelsWide: Int { size.width }
    open var pixelsHigh: Int { size.height }
}

@available(*, unavailable) extension MLImageSize: @unchecked Sendable {}

/// The sizes that an image may have.
open class MLImageSizeConstraint: NSObject {
    private let image: Feature.Image

    init(_ image: Feature.Image) { self.image = image }

    open var type: MLImageSizeConstraintType {
        switch image.flexibility {
        case .fixed: .unspecified
        case .enumerated: .enumerated
        case .ranges: .range
        }
    }
    open var pixelsWideRange: NSRange {
        if case .ranges(let width, _) = image.flexibility {
            width.nsRange
        } else {
            NSRange(location: image.width, length: 1)
        }
    }
    open var pixelsHighRange: NSRange {
        if case .ranges(_, let height) = image.flexibility {
            height.nsRange
        } else {
            NSRange(location: image.height, length: 1)
        }
    }
    open var enumeratedImageSizes: [MLImageSize] {
        if case .enumerated(let sizes) = image.flexibility { sizes.map(MLImageSize.init) } else { [] }
    }
}

@available(*, unavailable) extension MLImageSizeConstraint: @unchecked Sendable {}

/// The keys of a dictionary.
open class MLDictionaryConstraint: NSObject {
    private let key: Feature.Scalar
    init(_ key: Feature.Scalar) { self.key = key }
    open var keyType: MLFeatureType { key == .string ? .string : .int64 }
}

@available(*, unavailable) extension MLDictionaryConstraint: @unchecked Sendable {}

/// Shape and element type of a state.
open class MLStateConstraint: NSObject {
    private let array: Feature.MultiArray
    init(_ array: Feature.MultiArray) { self.array = array }
    open var bufferShape: [Int] { array.shape }
    open var dataType: MLMultiArrayDataType { MLMultiArrayDataType(array.dtype) ?? .float16 }
}

@available(*, unavailable) extension MLStateConstraint: @unchecked Sendable {}
