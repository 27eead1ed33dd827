/// The value of an input or output, as an app gives or takes it: one case for each kind of feature.
public enum FeatureValue: Sendable {
    case tensor(Tensor)
    /// [1, channels, height, width]: levels from 0 to 255, or any half-precision numbers for 16-bit grayscale.
    case image(Tensor)
    case int64(Int)
    case double(Double)
    case string(String)
    case dictionary([Label: Double])
    case sequence(Interface.Labels)

    public var tensor: Tensor? {
        switch self {
        case .tensor(let tensor), .image(let tensor): tensor
        default: nil
        }
    }

    /// The label that a classifier chose.
    public var label: Label? {
        switch self {
        case .int64(let number): .int64(number)
        case .string(let text): .string(text)
        default: nil
        }
    }

    public var dictionary: [Label: Double]? { if case .dictionary(let values) = self { values } else { nil } }
}

/// A class label, the key of a dictionary or the element of a sequence: a text or an integer.
public enum Label: Sendable, Hashable, CustomStringConvertible {
    case int64(Int)
    case string(String)

    public var description: String {
        switch self {
        case .int64(let number): "\(number)"
        case .string(let text): text
        }
    }
}

extension Label: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
    public init(stringLiteral text: String) { self = .string(text) }
    public init(integerLiteral number: Int) { self = .int64(number) }
}

extension FeatureValue {
    /// What a tensor stands for as a feature. `labels` are those of a classifier's outputs, in the order of the elements.
    public init(_ tensor: Tensor, as kind: Feature.Kind, labels: Interface.Labels? = nil) throws {
        switch kind {
        case .multiArray, .state: self = .tensor(tensor)
        case .image: self = .image(tensor)
        case .int64:
            guard tensor.count == 1, let number = tensor.ints?.first else {
                throw FeatureValue.unfit(tensor, "an int64")
            }
            self = .int64(number)
        case .double:
            guard tensor.count == 1, tensor.dtype != .string else { throw FeatureValue.unfit(tensor, "a double") }
            self = .double(tensor.double(at: 0))
        case .string:
            guard tensor.dtype == .string, let text = tensor.strings.first else {
                throw FeatureValue.unfit(tensor, "a string")
            }
            self = .string(text)
        case .dictionary:
            guard let labels, labels.count == tensor.count, tensor.dtype != .string else {
                throw FeatureValue.unfit(tensor, "a dictionary")
            }
            let pairs = (0..<labels.count).map { (labels[$0], tensor.double(at: $0)) }
            self = .dictionary(Dictionary(pairs) { _, last in last })
        case .sequence:
            if tensor.dtype == .string {
                self = .sequence(.strings(tensor.strings))
            } else if let numbers = tensor.ints {
                self = .sequence(.integers(numbers))
            } else {
                throw FeatureValue.unfit(tensor, "a sequence")
            }
        }
    }

    private static func unfit(_ tensor: Tensor, _ what: String) -> Failure {
        Failure(.wrongType, "A \(tensor.type) is not \(what).")
    }
}
