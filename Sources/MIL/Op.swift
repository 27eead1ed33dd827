/// A row of the table: what an op means. How it runs is the engines' business.
public struct Op: Sendable {
    public let name: String
    public let family: Family
    /// What the op computes, in words or as a formula.
    public let words: String
    public let parameters: [Parameter]
    /// The output types that follow from the arguments.
    public let infer: @Sendable (Call) throws -> [TensorType]
    /// Names of parameters whose arguments must be of one element type, as x and y of a sum.
    public let shared: [String]
    /// The op said with simpler ops, for engines that have no kernel of their own.
    public let expansion: Expansion?
    /// Whether Core ML's language has the op. A model file says other ops by their expansion, or cannot hold them.
    public let isCoreML: Bool
    /// Who computes an op that was added at run time; nil for the rows of the table.
    public let custom: CustomOp?

    /// Writes the simpler operations into the function and returns their results.
    public typealias Expansion = @Sendable (Call, inout Function) throws -> [ValueID]

    public init(
        _ name: String, _ family: Family, _ words: String, _ parameters: [Parameter], shared: [String] = [],
        expansion: Expansion? = nil, isCoreML: Bool = true, custom: CustomOp? = nil,
        infer: @escaping @Sendable (Call) throws -> [TensorType]
    ) {
        self.name = name
        self.family = family
        self.words = words
        self.parameters = parameters
        self.shared = shared
        self.expansion = expansion
        self.isCoreML = isCoreML && custom == nil
        self.custom = custom
        self.infer = infer
    }

    /// Families give the files of every engine their names.
    public enum Family: String, Sendable, CaseIterable {
        case activation, elementwise, reduction, linear, convolution, normalization, sequence
        case shape, indexing, image, random, control, compression, complex, fourier, custom
    }

    /// One parameter of an op.
    public struct Parameter: Sendable {
        public let name: String
        public let words: String
        public let dtypes: Set<DataType>
        /// Known before the run: shapes, axes, modes, weights.
        public let isConstant: Bool
        /// Takes a list of values.
        public let isList: Bool
        /// May be left out.
        public let isOptional: Bool
        /// What leaving it out means; nil where absence itself means something.
        public let defaultValue: Tensor?
    }

    public func parameter(_ name: String) -> Parameter? { parameters.first { $0.name == name } }
}

extension Op.Parameter {
    /// A tensor that arrives at run time or is constant.
    public static func tensor(
        _ name: String, _ words: String, _ dtypes: Set<DataType> = .numbers, optional: Bool = false
    ) -> Self {
        .init(
            name: name, words: words, dtypes: dtypes, isConstant: false, isList: false, isOptional: optional,
            defaultValue: nil)
    }

    /// A list of tensors.
    public static func list(_ name: String, _ words: String, _ dtypes: Set<DataType> = .all) -> Self {
        .init(
            name: name, words: words, dtypes: dtypes, isConstant: false, isList: true, isOptional: false,
            defaultValue: nil)
    }

    /// A constant: one that must be given, or one with a default, or one whose absence means something.
    public static func constant(
        _ name: String, _ words: String, _ dtypes: Set<DataType>, default value: Tensor? = nil, optional: Bool = false
    ) -> Self {
        .init(
            name: name, words: words, dtypes: dtypes, isConstant: true, isList: false,
            isOptional: optional || value != nil, defaultValue: value)
    }

    static func int(_ name: String, _ words: String, default value: Int32? = nil) -> Self {
        constant(name, words, .integers, default: value.map { Tensor($0) })
    }
    static func ints(_ name: String, _ words: String, default value: [Int32]? = nil, optional: Bool = false) -> Self {
        constant(name, words, .integers, default: value.map { Tensor($0) }, optional: optional)
    }
    static func bool(_ name: String, _ words: String, default value: Bool? = nil) -> Self {
        constant(name, words, [.bool], default: value.map { Tensor($0) })
    }
    static func bools(_ name: String, _ words: String, default value: [Bool]? = nil, optional: Bool = false) -> Self {
        constant(name, words, [.bool], default: value.map { Tensor($0) }, optional: optional)
    }
    static func float(_ name: String, _ words: String, default value: Float? = nil, optional: Bool = false) -> Self {
        constant(name, words, .floats, default: value.map { Tensor($0) }, optional: optional)
    }
    static func text(_ name: String, _ words: String, default value: String? = nil) -> Self {
        constant(name, words, [.string], default: value.map { Tensor($0) })
    }
}

extension Set where Element == DataType {
    public static let floats: Self = [.float16, .float32, .float64]
    public static let integers: Self = [.int8, .uint8, .int16, .uint16, .int32, .uint32, .int64, .uint64]
    public static let complex: Self = [.complex64, .complex128]
    public static let numbers: Self = floats.union(integers)
    /// Numbers that have a size rather than a direction, and those that have both.
    public static let numbersAndComplex: Self = numbers.union(complex)
    public static let floatsAndComplex: Self = floats.union(complex)
    /// What consists of bits that are its value.
    public static let bits: Self = integers.union([.bool])
    public static let all: Self = Set(DataType.allCases).subtracting([.string])
}

/// The table of all ops. Ops are rows; engines are columns elsewhere.
public enum OpTable {
    public static let rows: [Op] =
        activationOps + elementwiseOps + complexOps + reductionOps + linearOps + convolutionOps + normalizationOps
        + sequenceOps + shapeOps + indexingOps + imageOps + randomOps + compressionOps + fourierOps

    private static let byName = Dictionary(uniqueKeysWithValues: (rows + stateOps).map { ($0.name, $0) })

    public static subscript(_ name: String) -> Op? { byName[name] ?? customOp(name) }
}
