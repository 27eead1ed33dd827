/// A program with its interface: what an app sees of it.
public struct Model: Sendable {
    public var program: Program { didSet { source = nil } }
    /// One for each function, in the order of the program's functions.
    public var interfaces: [Interface] { didSet { source = nil } }
    public var metadata: Metadata
    /// The version of the file format the model came from or will be written in.
    public var specificationVersion: Int
    /// The file this was read from; nil for a model that was made or changed since.
    public var source: ModelSource?

    public init(
        program: Program, interfaces: [Interface], metadata: Metadata = Metadata(), specificationVersion: Int = 9
    ) {
        self.program = program
        self.interfaces = interfaces
        self.metadata = metadata
        self.specificationVersion = specificationVersion
    }

    /// A program with the interface that follows from the types of its functions.
    public init(_ program: Program, metadata: Metadata = Metadata()) throws {
        self.init(program: program, interfaces: try program.functions.map(Interface.init(of:)), metadata: metadata)
    }

    /// The interface of a function, or of the default one; a failure lists the names there are.
    public func interface(_ function: String? = nil) throws -> Interface {
        let wanted = function ?? program.defaultFunction
        if let match = interfaces.first(where: { $0.function == wanted }) { return match }
        let names = interfaces.map { "'\($0.function)'" }.joined(separator: ", ")
        throw Failure(.invalidArgument, "There is no function '\(wanted)'; the model has \(names).")
    }

    /// Who made a model and what for.
    public struct Metadata: Sendable, Hashable {
        public var shortDescription = ""
        public var version = ""
        public var author = ""
        public var license = ""
        public var userDefined: [String: String] = [:]

        public init() {}
    }
}

/// The file that a model was read from, for devices that run such files as they are.
public struct ModelSource: Sendable, Hashable {
    /// The `.mlpackage` folder, or the `.mlmodel` file.
    public let path: String
    /// The files that say what the model computes, the description first.
    public let files: [String]
    /// What changes whenever one of the files is written.
    public let version: String
    /// The function that runs if none is named.
    public let defaultFunction: String

    public init(path: String, files: [String], version: String, defaultFunction: String) {
        self.path = path
        self.files = files
        self.version = version
        self.defaultFunction = defaultFunction
    }
}

/// What reading does about symbolic links in a model package.
public enum SymbolicLinks: String, Sendable, CaseIterable {
    /// Files may be links, as in the cache of Hugging Face, wherever they lead, if that is a regular file.
    case follow
    /// Neither the package nor any file or folder in it that is read may be a link. For files from untrusted sources.
    case refuse
}

/// The inputs, outputs and states of one function, as an app names and types them.
public struct Interface: Sendable, Hashable {
    public var function: String
    public var inputs: [Feature]
    public var outputs: [Feature]
    public var states: [Feature]
    /// The output that holds the predicted label or number; empty where there is none.
    public var predictedFeature = ""
    /// The output that holds a probability for each label; empty where there is none.
    public var predictedProbabilities = ""
    public var classifier: Classifier?

    public init(function: String = "main", inputs: [Feature] = [], outputs: [Feature] = [], states: [Feature] = []) {
        self.function = function
        self.inputs = inputs
        self.outputs = outputs
        self.states = states
    }

    /// The interface that follows from the types of a function: multi-arrays and states. Unknown dimensions take any size.
    public init(of function: Function) throws {
        func feature(_ id: ValueID) throws -> Feature {
            let value = function[id]
            switch value.type {
            case .tensor(let type) where type.isFixed:
                return Feature(value.name, .multiArray(.init(type.dtype, type.shape)))
            case .tensor(let type):
                let ranges = type.shape.map { $0 < 0 ? Feature.SizeRange(1, nil) : Feature.SizeRange($0, $0) }
                return Feature(
                    value.name, .multiArray(.init(type.dtype, type.shape.map { max($0, 1) }, .ranges(ranges))))
            case .state(let type): return Feature(value.name, .state(.init(type.dtype, type.shape)))
            default:
                throw Failure(
                    .unsupported, "The value '\(value.name)' is a \(value.type); an interface holds tensors and states."
                )
            }
        }
        self.init(function: function.name, outputs: try function.outputs.map(feature))
        for id in function.inputs {
            if case .state = function[id].type {
                states.append(try feature(id))
            } else {
                inputs.append(try feature(id))
            }
        }
    }

    /// The class labels of an output, in the order of the probabilities; nil for outputs that are not a classifier's.
    public func labels(of output: String) -> Labels? {
        guard let classifier, output == classifier.labelFeature || output == classifier.probabilitiesFeature else {
            return nil
        }
        return classifier.labels
    }

    /// How an output of the function becomes a label and a dictionary of probabilities.
    public struct Classifier: Sendable, Hashable {
        /// The output of the function, one number for each label.
        public var scores: String
        public var labels: Labels
        /// The outputs of the interface that hold the most probable label and all probabilities.
        public var labelFeature: String
        public var probabilitiesFeature: String

        public init(scores: String, labels: Labels, labelFeature: String, probabilitiesFeature: String) {
            self.scores = scores
            self.labels = labels
            self.labelFeature = labelFeature
            self.probabilitiesFeature = probabilitiesFeature
        }
    }

    public enum Labels: Sendable, Hashable {
        case strings([String])
        case integers([Int])

        public var count: Int {
            switch self {
            case .strings(let names): names.count
            case .integers(let numbers): numbers.count
            }
        }

        public subscript(_ index: Int) -> Label {
            switch self {
            case .strings(let names): .string(names[index])
            case .integers(let numbers): .int64(numbers[index])
            }
        }
    }
}

/// One input, output or state.
public struct Feature: Sendable, Hashable {
    public var name: String
    public var shortDescription: String
    public var kind: Kind
    /// An optional input may be left out; it is then filled with its default value, or zeros.
    public var isOptional: Bool

    public init(_ name: String, _ kind: Kind, shortDescription: String = "", isOptional: Bool = false) {
        self.name = name
        self.kind = kind
        self.shortDescription = shortDescription
        self.isOptional = isOptional
    }

    public enum Kind: Sendable, Hashable {
        case multiArray(MultiArray)
        case image(Image)
        case int64
        case double
        case string
        case dictionary(key: Scalar)
        case sequence(Scalar, length: SizeRange)
        case state(MultiArray)
    }

    /// The keys of dictionaries and the elements of sequences.
    public enum Scalar: Sendable, Hashable {
        case int64
        case string
    }

    /// A tensor. `shape` is empty where the file leaves it open; with a flexible shape it is the usual one.
    public struct MultiArray: Sendable, Hashable {
        public var dtype: DataType
        public var shape: [Int]
        public var flexibility: Flexibility
        public var defaultValue: Double?

        public init(_ dtype: DataType, _ shape: [Int], _ flexibility: Flexibility = .fixed, defaultValue: Double? = nil)
        {
            self.dtype = dtype
            self.shape = shape
            self.flexibility = flexibility
            self.defaultValue = defaultValue
        }

        public enum Flexibility: Sendable, Hashable {
            case fixed
            /// Any of these shapes.
            case enumerated([[Int]])
            /// Each dimension within its range.
            case ranges([SizeRange])
        }
    }

    public struct Image: Sendable, Hashable {
        public var width: Int
        public var height: Int
        public var colorSpace: ColorSpace
        public var flexibility: Flexibility

        public init(width: Int, height: Int, _ colorSpace: ColorSpace, _ flexibility: Flexibility = .fixed) {
            self.width = width
            self.height = height
            self.colorSpace = colorSpace
            self.flexibility = flexibility
        }

        public enum Flexibility: Sendable, Hashable {
            case fixed
            case enumerated([Size])
            case ranges(width: SizeRange, height: SizeRange)
        }

        public struct Size: Sendable, Hashable {
            public var width: Int
            public var height: Int

            public init(width: Int, height: Int) {
                self.width = width
                self.height = height
            }
        }
    }

    /// Raw values are the codes of the file format.
    public enum ColorSpace: Int, Sendable, Hashable, CaseIterable {
        case grayscale = 10
        case rgb = 20
        case bgr = 30
        case grayscaleFloat16 = 40
    }

    /// A range of sizes; `upper` is nil where nothing bounds it.
    public struct SizeRange: Sendable, Hashable {
        public var lower: Int
        public var upper: Int?

        public init(_ lower: Int, _ upper: Int?) {
            self.lower = lower
            self.upper = upper
        }

        public func contains(_ size: Int) -> Bool { size >= lower && upper.map { size <= $0 } ?? true }
    }
}
