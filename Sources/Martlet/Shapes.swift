/// The shapes an input may have.
public enum Shapes: Sendable, Hashable, CustomStringConvertible {
    case fixed([Int])
    case enumerated([[Int]])
    case ranges([Feature.SizeRange])

    /// Open dimensions (-1) take any size from 1 on.
    public init(_ shape: [Int]) {
        self = .ranges(shape.map { $0 < 0 ? .init(1, nil) : .init($0, $0) })
        self = simplest
    }

    /// The shapes of a feature that a function takes as a tensor of `type`.
    public init(of feature: Feature, as type: TensorType) throws {
        switch feature.kind {
        case .multiArray(let array), .state(let array):
            let shape = array.shape.isEmpty ? type.shape : array.shape
            switch array.flexibility {
            case .fixed: self = Shapes(shape)
            case .enumerated(let shapes): self = .enumerated(shapes)
            case .ranges(let ranges): self = .ranges(ranges)
            }
        case .image(let image):
            guard type.rank >= 3 else {
                throw Failure(
                    .malformed, "The image '\(feature.name)' is a \(type) in the program; three dimensions are needed.")
            }
            let leading = Array(type.shape.dropLast(2))
            switch image.flexibility {
            case .fixed: self = Shapes(leading + [image.height, image.width])
            case .enumerated(let sizes): self = .enumerated(sizes.map { leading + [$0.height, $0.width] })
            case .ranges(let width, let height): self = .ranges(leading.map { .init($0, $0) } + [height, width])
            }
        default:
            throw Failure(.unsupported, "The input or output '\(feature.name)' is neither a tensor nor an image.")
        }
        self = simplest
        for shape in examples where shape.count != type.rank {
            throw Failure(
                .malformed,
                "'\(feature.name)' has shape \(self) for the app and \(type.shape) in the program; the ranks differ.")
        }
    }

    private var simplest: Shapes {
        switch self {
        case .ranges(let ranges) where ranges.allSatisfy { $0.upper == $0.lower }: .fixed(ranges.map(\.lower))
        case .enumerated(let shapes) where shapes.count == 1: .fixed(shapes[0])
        default: self
        }
    }

    /// One shape that is allowed.
    var smallest: [Int] { examples.first ?? [] }

    private var examples: [[Int]] {
        switch self {
        case .fixed(let shape): [shape]
        case .enumerated(let shapes): shapes
        case .ranges(let ranges): [ranges.map(\.lower)]
        }
    }

    /// One shape for all, -1 where the size may differ.
    public var common: [Int] {
        switch self {
        case .fixed(let shape): shape
        case .enumerated(let shapes):
            shapes.dropFirst().reduce(shapes.first ?? []) { common, shape in
                common.count == shape.count ? zip(common, shape).map { $0 == $1 ? $0 : -1 } : common
            }
        case .ranges(let ranges): ranges.map { $0.lower == $0.upper ? $0.lower : -1 }
        }
    }

    /// The only shape, where there is only one.
    public var fixed: [Int]? { if case .fixed(let shape) = self { shape } else { nil } }

    public func contains(_ shape: [Int]) -> Bool {
        switch self {
        case .fixed(let only): return shape == only
        case .enumerated(let shapes): return shapes.contains(shape)
        case .ranges(let ranges):
            return shape.count == ranges.count && zip(ranges, shape).allSatisfy { $0.contains($1) }
        }
    }

    public var description: String {
        switch self {
        case .fixed(let shape): "\(shape)"
        case .enumerated(let shapes): "one of " + shapes.map { "\($0)" }.joined(separator: ", ")
        case .ranges(let ranges):
            "["
                + ranges.map { range in
                    range.lower == range.upper
                        ? "\(range.lower)" : "\(range.lower)…\(range.upper.map(String.init) ?? "")"
                }.joined(separator: ", ") + "]"
        }
    }
}
