import MIL
import Runtime

/// Foundation has another type of this name.
typealias Port = Runtime.Port

/// A feature of a Core ML model and the tensor that stands for it on our side.
struct BoundFeature: Sendable {
    /// The feature's name in the model.
    let name: String
    /// What the caller gives or takes.
    let port: Port
    let form: Form

    enum Form: Sendable, Hashable {
        /// A multi-array of this type; -1 stands where a size may differ.
        case array(TensorType)
        case image(Feature.ColorSpace)
        /// The name of the most probable class.
        case label
        /// A dictionary of probabilities, in the order of the classes.
        case probabilities(Interface.Labels)
    }

    init(_ name: String, _ port: Port, _ form: Form) {
        self.name = name
        self.port = port
        self.form = form
    }

    /// A feature of a model file, as an app sees it.
    init(_ feature: Feature, _ classifier: Interface.Classifier?, in function: Function) throws {
        let isLabel = feature.name == classifier?.labelFeature
        let isScores = feature.name == classifier?.probabilitiesFeature
        if isLabel, let classifier {
            let dtype: DataType = if case .strings = classifier.labels { .string } else { .int64 }
            self.init(feature.name, Port(name: feature.name, type: TensorType(dtype, [])), .label)
            return
        }
        let source = isScores ? classifier?.scores : feature.name
        guard let id = (function.inputs + function.outputs).first(where: { function[$0].name == source }) else {
            throw Failure(.malformed, "The function '\(function.name)' has no '\(feature.name)'.")
        }
        var type = try function.tensorType(id)
        let form: Form
        switch feature.kind {
        case .multiArray(let array):
            type.dtype = array.dtype
            // A lone number comes as one element.
            form = .array(TensorType(type.dtype, type.shape.isEmpty ? [1] : type.shape))
        case .image(let image): form = .image(image.colorSpace)
        default:
            guard isScores, let classifier else {
                throw Failure(.unsupported, "The feature '\(feature.name)' is neither a multi-array nor an image.")
            }
            form = .probabilities(classifier.labels)
        }
        self.init(feature.name, Port(name: feature.name, type: type), form)
    }

    /// Fails unless a tensor is of the port's type, whose open sizes may be any.
    func check(_ tensor: Tensor) throws {
        let (given, wanted) = (tensor.type, port.type)
        guard given.dtype == wanted.dtype, given.rank == wanted.rank,
            zip(given.shape, wanted.shape).allSatisfy({ $0 == $1 || $1 < 0 })
        else {
            throw Failure(.invalidArgument, "The input '\(port.name)' is a \(given); it must be a \(wanted).")
        }
    }
}
